"""Kills, pauses and restarts components of the running stack, one or two at once, and proves that each fault struck."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import psutil

from infra.native import Stack
from tests.eventually import eventually

COMPONENTS = ("postgres", "kafka", "connect", "bridge", "nats", "mongo", "customer", "order", "history")
ACTIONS = ("kill", "pause", "restart")
PAUSE_SECONDS = (1.0, 4.0)
BACK_SECONDS = 90.0

Strike = tuple[str, tuple[str, ...]]
"""An action, and the one or two components that it strikes."""


@dataclass
class Fault:
    """One fault at one or two components; times are seconds since the run began.

    Attributes:
        evidence: by component, what shows that the fault struck: its process ended, or was seen stopped.
        flowing_after: seconds from the fault until an event reached the stream again.
    """

    action: str
    components: tuple[str, ...]
    at: float
    ended: float = 0.0
    flowing_after: float | None = None
    evidence: dict[str, str] = field(default_factory=dict)

    @property
    def struck(self) -> bool:
        return self.evidence.keys() == set(self.components)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "struck": self.struck}


@dataclass
class Nemesis:
    """Injects faults into a stack, one after the other.

    Args:
        chance: chooses how long a pause lasts.
        flows: returns when an event has passed from each outbox to the stream.
    """

    stack: Stack
    chance: random.Random
    began: float
    flows: Callable[[], None]
    faults: list[Fault] = field(default_factory=list)

    async def run(self, plan: Iterable[Strike], calm: float) -> None:
        """Injects the faults of the plan; after each recovery it waits `calm` seconds."""
        for action, components in plan:
            await asyncio.to_thread(self._strike, action, components)
            await asyncio.sleep(calm)

    def _strike(self, action: str, components: tuple[str, ...]) -> None:
        fault = Fault(action, components, at=time.monotonic() - self.began)
        self.faults.append(fault)
        {"kill": self._kill, "pause": self._pause, "restart": self._restart}[action](fault)
        fault.ended = time.monotonic() - self.began
        self.stack.wait_ready(within=BACK_SECONDS)
        self.flows()
        fault.flowing_after = time.monotonic() - self.began - fault.at

    def _kill(self, fault: Fault) -> None:
        before = {component: self._process(component) for component in fault.components}
        for process in before.values():
            process.kill()
        for component, process in before.items():
            psutil.wait_procs([process], timeout=10)
            if not process.is_running():
                fault.evidence[component] = f"process {process.pid} is gone"

    def _pause(self, fault: Fault) -> None:
        family = {component: self._family(component) for component in fault.components}
        try:
            for component, processes in family.items():
                for process in processes:
                    process.suspend()
                # The signal takes effect when the kernel next schedules the process.
                eventually(partial(_assert_stopped, processes[0]), within=10.0)
                fault.evidence[component] = f"process {processes[0].pid} was stopped"
            time.sleep(self.chance.uniform(*PAUSE_SECONDS))
        finally:
            for process in itertools.chain.from_iterable(family.values()):
                if process.is_running():
                    process.resume()

    def _restart(self, fault: Fault) -> None:
        before = {component: self.stack.pid(component) for component in fault.components}
        for component in fault.components:
            self.stack.stop(component)
        for component in fault.components:
            self.stack.start(component)
        self.stack.wait_ready(*fault.components, within=BACK_SECONDS)
        for component, pid in before.items():
            if pid and self.stack.pid(component) != pid:
                fault.evidence[component] = f"process {pid} ended and another one runs"

    def _process(self, component: str) -> psutil.Process:
        return psutil.Process(self.stack.pid(component))

    def _family(self, component: str) -> list[psutil.Process]:
        # PostgreSQL works in child processes.
        process = self._process(component)
        return [process, *process.children(recursive=True)]


def _assert_stopped(process: psutil.Process) -> None:
    assert process.status() == psutil.STATUS_STOPPED


def every_component_once(chance: random.Random) -> Iterator[Strike]:
    """The short form: each component is killed or paused once."""
    for component in chance.sample(COMPONENTS, len(COMPONENTS)):
        yield chance.choice(("kill", "pause")), (component,)


def everything(chance: random.Random, seconds: float) -> Iterator[Strike]:
    """The long form: each action at each component, with a pair after each of them, until the time is over."""
    end = time.monotonic() + seconds
    return itertools.takewhile(lambda _: time.monotonic() < end, _endlessly(chance))


def _endlessly(chance: random.Random) -> Iterator[Strike]:
    while True:
        singles = list(itertools.product(ACTIONS, COMPONENTS))
        for action, component in chance.sample(singles, len(singles)):
            yield action, (component,)
            first, second = chance.sample(COMPONENTS, 2)
            yield chance.choice(ACTIONS), (first, second)
