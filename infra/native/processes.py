"""The processes of a stack that no supervisor answers for: found by the stack's mark, never by name."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil

from infra.native.supervision import MARKER

GONE = (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied)


def of_stack(folder: Path, postgres_data: Path) -> list[psutil.Process]:
    """All processes that were started for the stack in `folder`, the supervisor with them.

    PostgreSQL's children overwrite their environment with their title; they are known by the folder that they work in.
    """
    return [process for process in _others() if _belongs(process, str(folder), str(postgres_data))]


def _others() -> Iterator[psutil.Process]:
    return (process for process in psutil.process_iter() if process.pid != os.getpid())


def _belongs(process: psutil.Process, folder: str, postgres_data: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if process.environ().get(MARKER) == folder:
            return True
        return process.name() == "postgres" and process.cwd() == postgres_data
    except GONE:
        return False


def end(processes: list[psutil.Process], within: float = 5.0) -> None:
    """Ask them to stop, SIGKILL what has not after `within` seconds, and return when none is left."""
    for process in processes:
        _send(process, _stop_signal(process))
    _, left = psutil.wait_procs(processes, timeout=within)
    for process in left:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(left, timeout=10.0)


def _stop_signal(process: psutil.Process) -> signal.Signals:
    try:
        return signal.SIGINT if process.name() == "postgres" else signal.SIGTERM
    except GONE:
        return signal.SIGTERM


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except GONE:
        return


def family(pid: int) -> list[psutil.Process]:
    """A process and its living children; nothing if it is gone."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except GONE:
        return []


def family_memory(pid: int) -> int:
    """Bytes of a process and its children; memory that they share is counted once (PSS), where the kernel tells."""
    return sum(_memory(member) for member in family(pid))


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    except GONE:
        return 0
