"""Finds and ends all processes of a stack, also without its supervisor: by a variable in their environment."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil

from infra.native.supervision import MARKER

GONE = (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied)


def of_stack(folder: Path, postgres_data: Path) -> list[psutil.Process]:
    """All processes of the stack in `folder`, including its supervisor.

    PostgreSQL's child processes overwrite their environment with their title. Their working folder identifies them.
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
    """Asks the processes to stop and sends SIGKILL to those that still run after `within` seconds."""
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
    """A process and its living descendants; empty if it has ended."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except GONE:
        return []


def family_memory(pid: int) -> int:
    """Bytes of a process and its descendants; shared memory counts once (PSS) where the kernel shows it."""
    return sum(_memory(member) for member in family(pid))


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    except GONE:
        return 0
