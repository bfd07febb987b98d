"""Chores are done over and over, whatever happens to one of them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg
import pytest

from runtime.housekeeping import Chore, housekeeping
from tests.eventually import eventually_async

PERIOD = 0.01


class Sweeping:
    """A chore of two batches that counts its beginnings; the first ones end with the errors given."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self._left = [2, 1]
        self.begun = 0

    async def __call__(self) -> int:
        if self._left == [2, 1]:
            self.begun += 1
        if self._errors:
            raise self._errors.pop(0)
        if self._left:
            return self._left.pop(0)
        self._left = [2, 1]
        return 0


@asynccontextmanager
async def kept(chores: Mapping[str, Chore]) -> AsyncIterator[asyncio.Task[None]]:
    """Housekeeping at work, ended as a service ends it."""
    task = asyncio.create_task(housekeeping(chores, PERIOD))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_every_chore_is_done_again_and_again() -> None:
    chores = {"outbox": Sweeping(), "keys": Sweeping()}

    async def check() -> None:
        assert min(chore.begun for chore in chores.values()) >= 3

    async with kept(chores):
        await eventually_async(check)


@pytest.mark.parametrize(
    "outage", [ConnectionRefusedError(), TimeoutError(), asyncpg.CannotConnectNowError("starting")]
)
async def test_an_outage_postpones_a_chore_and_does_not_touch_the_others(outage: Exception) -> None:
    failing, other = Sweeping(outage, outage), Sweeping()

    async def check() -> None:
        assert failing.begun >= 4
        assert other.begun >= failing.begun - 1

    async with kept({"failing": failing, "other": other}):
        await eventually_async(check)


async def test_an_error_of_a_chores_own_ends_housekeeping_and_is_told() -> None:
    async with kept({"broken": Sweeping(ZeroDivisionError())}) as task:
        with pytest.raises(ZeroDivisionError):
            await task


async def test_a_chore_is_done_to_its_last_batch_and_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        assert "outbox: 3 rows" in caplog.messages

    with caplog.at_level("INFO", "runtime.housekeeping"):
        async with kept({"outbox": Sweeping()}):
            await eventually_async(check)
