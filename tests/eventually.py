"""The only places where tests wait: two polling loops, and some turns of the event loop."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE_SECONDS = 0.02


def eventually(check: Callable[[], T], within: float = 30.0) -> T:
    """Calls `check` until it returns without an AssertionError, and returns its answer.

    Args:
        check: looks once; raises AssertionError while the awaited state is not there yet.
        within: seconds after which the last AssertionError is raised as it is.
    """
    deadline = time.monotonic() + within
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(PAUSE_SECONDS)


async def eventually_async(check: Callable[[], Awaitable[T]], within: float = 30.0, pause: float = PAUSE_SECONDS) -> T:
    """The same for a check that awaits, `pause` seconds between two looks."""
    deadline = time.monotonic() + within
    while True:
        try:
            return await check()
        except AssertionError:
            if time.monotonic() >= deadline:
                raise
        await asyncio.sleep(pause)


async def let_tasks_run(turns: int = 20) -> None:
    """Lets each task that can go on do so, until it waits for something that does not happen by itself."""
    for _ in range(turns):
        await asyncio.create_task(_nothing())


async def _nothing() -> None:
    pass
