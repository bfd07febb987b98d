"""Kills, pauses and restarts components of the running stack, alone and in pairs, and proves that each fault struck."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil

from infra.native import Stack
from tests.eventually import eventually

COMPONENTS = ("postgres", "kafka", "connect", "bridge", "nats", "mongo", "customer", "order", "history")
ACTIONS = ("kill", "pause", "restart")
PAUSE_SECONDS = (1.0, 4.0)
BACK_SECONDS = 90.0

Strike = tuple[str, tuple[str, ...]]
"""An action, and the component or the pair that it strikes."""


@dataclass
class Fault:
    """One fault, at one or two components at once; times in seconds of the run.

    Attributes:
        evidence: by component, what shows that it struck: the process that was there is another one
            now, or was seen stopped.
        flowing_after: seconds from the fault until an event made its way again.
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
    """Runs faults one after the other against a stack.

    Args:
        flows: returns when an event made its way from an outbox to a consumer.
    """

    stack: Stack
    chance: random.Random
    began: float
    flows: Callable[[], None]
    faults: list[Fault] = field(default_factory=list)

    async def run(self, plan: Iterable[Strike], calm: float) -> None:
        """Strikes until the plan is done, with `calm` seconds of peace after each recovery."""
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
                # The signal takes effect when the kernel next lets the process run.
                eventually(lambda stopped=processes[0]: _assert_stopped(stopped), within=10.0)
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
        # PostgreSQL's work is done by its children.
        process = self._process(component)
        return [process, *process.children(recursive=True)]


def _assert_stopped(process: psutil.Process) -> None:
    assert process.status() == psutil.STATUS_STOPPED


def every_component_once(chance: random.Random) -> Iterator[Strike]:
    """The short form: each component is struck once, killed or paused."""
    for component in chance.sample(COMPONENTS, len(COMPONENTS)):
        yield chance.choice(("kill", "pause")), (component,)


def everything(chance: random.Random, seconds: float) -> Iterator[Strike]:
    """The long form: each action at each component, with as many pairs in between, until the time is over."""
    end = time.monotonic() + seconds
    return itertools.takewhile(lambda _: time.monotonic() < end, _without_end(chance))


def _without_end(chance: random.Random) -> Iterator[Strike]:
    while True:
        singles = list(itertools.product(ACTIONS, COMPONENTS))
        for action, component in chance.sample(singles, len(singles)):
            yield action, (component,)
            first, second = chance.sample(COMPONENTS, 2)
            yield chance.choice(ACTIONS), (first, second)
