"""Chores: small work that a service repeats, mostly to keep its tables from growing."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

log = logging.getLogger(__name__)

Chore = Callable[[], Awaitable[int]]
"""Handles one batch of rows that are due, in one transaction. Returns how many rows; 0 when none is left."""

PERIOD_SECONDS = 60.0


class Housekeeping:
    """A worker that runs its chores once in each period. Implements runtime.workers.Worker.

    Args:
        chores: by name, for the log.
        transient: errors of an outage. They postpone a chore to the next period; any other error is raised.
        period: seconds.

    Attributes:
        chores, period: as given.
    """

    def __init__(
        self, chores: Mapping[str, Chore], transient: tuple[type[Exception], ...], period: float = PERIOD_SECONDS
    ) -> None:
        self.chores = chores
        self._transient = transient
        self.period = period
        self._stopping = asyncio.Event()
        self._postponed: dict[str, str] = {}

    @property
    def fault(self) -> str | None:
        """The chores that were postponed in the last period, with the error of each."""
        return "; ".join(f"{name} postponed: {error}" for name, error in self._postponed.items()) or None

    async def run(self) -> None:
        while not await self._stopped_within(self.period):
            for name, chore in self.chores.items():
                await self._do(name, chore)

    def stop(self) -> None:
        self._stopping.set()

    async def _do(self, name: str, chore: Chore) -> None:
        try:
            rows = await self._complete(chore)
        except self._transient as error:
            reason = f"{type(error).__name__}: {error}"
            # Once for each reason: an outage would fill the log otherwise.
            level = logging.DEBUG if self._postponed.get(name) == reason else logging.WARNING
            log.log(level, "%s: postponed: %s", name, reason)
            self._postponed[name] = reason
        else:
            if self._postponed.pop(name, None):
                log.info("%s: is done again", name)
            log.log(logging.INFO if rows else logging.DEBUG, "%s: %d rows", name, rows)

    async def _complete(self, chore: Chore) -> int:
        total = 0
        while not self._stopping.is_set() and (rows := await chore()):
            total += rows
        return total

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True
