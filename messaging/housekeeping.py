"""Work that is done every now and then, mostly to keep tables from growing."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from messaging.postgres import TRANSIENT_ERRORS

log = logging.getLogger(__name__)

Chore = Callable[[], Awaitable[int]]
"""Deals with a batch of what has expired, in one transaction; returns how many rows that were, 0 when all is done."""

PERIOD_SECONDS = 60.0


async def housekeeping(chores: Mapping[str, Chore], period: float = PERIOD_SECONDS) -> None:
    """Does every chore each `period` seconds, until cancelled; an outage only postpones it."""
    while True:
        await asyncio.sleep(period)
        for name, chore in chores.items():
            try:
                done = await _complete(chore)
            except TRANSIENT_ERRORS as error:
                log.warning("%s: postponed: %s: %s", name, type(error).__name__, error)
            else:
                log.log(logging.INFO if done else logging.DEBUG, "%s: %d rows", name, done)


async def _complete(chore: Chore) -> int:
    total = 0
    while done := await chore():
        total += done
    return total
