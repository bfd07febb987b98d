"""What all simulated parts share: one random generator, the clock, the trace, and the count of strikes."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tests.simulation.clock import pass_time

SHORTEST_SECONDS = 0.0002
USUAL_SECONDS = 0.003
STALL_SECONDS = 0.4
STALL_ODDS = 0.01


class Crashed(BaseException):
    """The process that runs this code was killed. Not an Exception: no code may recover from it."""


class Violation(Exception):
    """An invariant does not hold."""


@dataclass
class World:
    """What is common to one run.

    Attributes:
        seed: decides everything that happens.
        traced: whether `lines` are written. Off by default: a failing seed is run again with it.
        strikes: how often each fault or coincidence happened, by kind: the proof that the faults struck.
        lines: the trace.
        slowness: multiplies every delay.
    """

    seed: int
    traced: bool = False
    strikes: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)
    slowness: float = 1.0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.violated: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def delay(self) -> float:
        """Seconds for one step of unknown duration: short, now and then long."""
        if self.rng.random() < STALL_ODDS:
            return self.rng.uniform(0, STALL_SECONDS) * self.slowness
        return (SHORTEST_SECONDS + self.rng.random() * USUAL_SECONDS) * self.slowness

    async def pause(self) -> None:
        await pass_time(self.delay())

    def note(self, who: str, what: str, *details: Any) -> None:
        """Adds a line to the trace; `what` is formatted only if there is one."""
        if self.traced:
            self.lines.append(f"{self.now:10.4f}  {who:<16}  {what % details if details else what}")

    def struck(self, kind: str) -> None:
        self.strikes[kind] += 1

    def violate(self, invariant: str) -> None:
        """Ends the run: this invariant does not hold. The first violation counts."""
        if not self.violated.done():
            self.note("checker", "VIOLATED: %s", invariant)
            self.violated.set_exception(Violation(invariant))

    def require(self, holds: bool, invariant: str, *details: Any) -> None:
        if not holds:
            self.violate(invariant % details if details else invariant)
