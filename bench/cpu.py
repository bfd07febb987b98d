"""CPU and memory of each component: of its process and all child processes, those that ended included."""

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
    """Seconds of CPU up to a moment, or between two moments (`since`).

    Attributes:
        elapsed: seconds of the monotonic clock; of a difference: its duration.
        components: user and system time by component, and of the load generator (this process).
        machine: user and system time of all processes and the kernel.
    """

    elapsed: float
    components: Mapping[str, float]
    machine: float

    def since(self, begin: "CpuUse") -> "CpuUse":
        """The difference between two moments. A component that was not running at `begin` counts from 0."""
        components = {name: seconds - begin.components.get(name, 0.0) for name, seconds in self.components.items()}
        return CpuUse(self.elapsed - begin.elapsed, components, self.machine - begin.machine)

    def milliseconds_per_item(self, items: int) -> dict[str, float]:
        """CPU milliseconds for one of `items` items: by component, of all components, and of the whole machine."""
        each = {name: seconds / items / MILLISECOND for name, seconds in self.components.items()}
        return each | {ALL: sum(each.values()) - each[GENERATOR], MACHINE: self.machine / items / MILLISECOND}

    def percentages(self) -> dict[str, float]:
        """Per cent of one core: by component, and of all components."""
        each = {name: 100 * seconds / self.elapsed for name, seconds in self.components.items()}
        return each | {ALL: sum(each.values()) - each[GENERATOR]}


def cpu_use(stack: Stack) -> CpuUse:
    """The CPU time of each running component since its start."""
    times = psutil.cpu_times()
    idle = times.idle + times.iowait
    components = {name: process_tree_seconds(state.pid) for name, state in stack.states().items() if state.pid}
    components[GENERATOR] = process_tree_seconds(os.getpid())
    return CpuUse(time.monotonic(), components, sum(times[:8]) - idle)


def process_tree_seconds(pid: int) -> float:
    """CPU seconds of a process, its child processes, and the children that they waited for.

    PostgreSQL starts and ends a process for each connection.
    """
    return sum(_seconds(process) for process in family(pid))


def memory(stack: Stack) -> dict[str, float]:
    """Megabytes by component. Memory that processes of one component share is counted once (PSS)."""
    each = {name: family_memory(state.pid) / MEGABYTE for name, state in stack.states().items() if state.pid}
    return each | {ALL: sum(each.values())}


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except GONE:
        return 0.0
    return times.user + times.system + times.children_user + times.children_system
