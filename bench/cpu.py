"""CPU and memory of each component: its process with all its children, those that are gone included."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from infra.native import Stack
from infra.native.processes import GONE, family, family_memory

GENERATOR = "load generator"
ALL = "all components"
MACHINE = "whole machine"
MILLISECOND = 1e-3
MEGABYTE = 1e6


@dataclass(frozen=True)
class CpuUse:
    """Seconds of CPU so far, by component; the difference of two is what happened between them.

    Attributes:
        at: monotonic seconds.
        used: user and system time by component, the load generator (this process) included.
        machine: of all processes, the kernel's own work included.
    """

    at: float
    used: Mapping[str, float]
    machine: float

    def since(self, begin: "CpuUse") -> "CpuUse":
        used = {name: seconds - begin.used.get(name, 0.0) for name, seconds in self.used.items()}
        return CpuUse(self.at - begin.at, used, self.machine - begin.machine)

    def milliseconds_per(self, number: int) -> dict[str, float]:
        """CPU of each component for one of `number` things, and of all components together."""
        each = {name: seconds / number / MILLISECOND for name, seconds in self.used.items()}
        return each | {
            ALL: sum(each.values()) - each[GENERATOR],
            MACHINE: self.machine / number * 1e3,
        }

    def shares(self) -> dict[str, float]:
        """Per cent of one core, by component, and of all components together."""
        each = {name: 100 * seconds / self.at for name, seconds in self.used.items()}
        return each | {ALL: sum(each.values()) - each[GENERATOR]}


def cpu_use(stack: Stack) -> CpuUse:
    """What each component has used since it was started."""
    times = psutil.cpu_times()
    idle = times.idle + times.iowait
    used = {name: family_seconds(state.pid) for name, state in stack.states().items() if state.pid}
    used[GENERATOR] = family_seconds(os.getpid())
    return CpuUse(time.monotonic(), used, sum(times[:8]) - idle)


def family_seconds(pid: int) -> float:
    """A process, its living children and those that it has waited for (PostgreSQL's come and go)."""
    return sum(_seconds(member) for member in family(pid))


def memory(stack: Stack) -> dict[str, float]:
    """Megabytes by component; memory that a family's processes share is counted once (PSS)."""
    each = {name: family_memory(state.pid) / MEGABYTE for name, state in stack.states().items() if state.pid}
    return each | {ALL: sum(each.values())}


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except GONE:
        return 0.0
    return times.user + times.system + times.children_user + times.children_system
