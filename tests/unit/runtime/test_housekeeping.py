"""Chores are repeated in each period. An outage postpones a chore; any other error ends the worker."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from runtime.housekeeping import PERIOD_SECONDS, Chore, Housekeeping
from tests.eventually import eventually_async
from tests.simulation.clock import VirtualLoop, pass_time

PERIOD = 0.01
GUARD_SECONDS = 20.0
"""A worker that does not stop fails its test."""


class Outage(Exception):
    """The database is away."""


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
async def running(chores: Mapping[str, Chore]) -> AsyncIterator[Housekeeping]:
    """Housekeeping at work, stopped as a service stops it; its error is raised."""
    housekeeping = Housekeeping(chores, (Outage,), PERIOD)
    task = asyncio.create_task(housekeeping.run())
    try:
        yield housekeeping
    finally:
        housekeeping.stop()
        async with asyncio.timeout(GUARD_SECONDS):
            await task


async def test_every_chore_is_repeated() -> None:
    chores = {"outbox": Sweeping(), "keys": Sweeping()}

    async def check() -> None:
        assert min(chore.begun for chore in chores.values()) >= 3

    async with running(chores):
        await eventually_async(check)


def test_a_chore_runs_once_in_each_period() -> None:
    chore = Sweeping()

    async def run_for_three_periods() -> None:
        housekeeping = Housekeeping({"outbox": chore}, (Outage,))
        task = asyncio.create_task(housekeeping.run())
        await pass_time(3.5 * PERIOD_SECONDS)
        housekeeping.stop()
        await task
        assert asyncio.get_running_loop().time() == 3.5 * PERIOD_SECONDS  # it did not wait for the next period

    VirtualLoop().run(run_for_three_periods())
    assert chore.begun == 3


async def test_an_outage_postpones_a_chore_and_not_the_others() -> None:
    failing, other = Sweeping(Outage(), Outage()), Sweeping()

    async def check() -> None:
        assert failing.begun >= 4
        assert other.begun >= failing.begun - 1

    async with running({"failing": failing, "other": other}):
        await eventually_async(check)


async def test_a_postponed_chore_is_the_fault_until_it_has_run() -> None:
    faults: list[str | None] = []

    async def chore() -> int:
        faults.append(housekeeping.fault)
        if len(faults) == 1:
            raise Outage("the database is away")
        return 0

    async def check() -> None:
        assert len(faults) > 2

    async with running({"outbox": chore}) as housekeeping:
        await eventually_async(check)
        assert faults[:3] == [None, "outbox postponed: Outage: the database is away", None]


def test_an_outage_is_logged_once_for_each_reason_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    chore = Sweeping(Outage("refused"), Outage("refused"), Outage("starting"))

    async def run_for_five_periods() -> None:
        housekeeping = Housekeeping({"outbox": chore}, (Outage,))
        task = asyncio.create_task(housekeeping.run())
        await pass_time(5.5 * PERIOD_SECONDS)
        housekeeping.stop()
        await task

    with caplog.at_level("INFO", "runtime.housekeeping"):
        VirtualLoop().run(run_for_five_periods())
    assert caplog.messages == [
        "outbox: postponed: Outage: refused",
        "outbox: postponed: Outage: starting",
        "outbox: is done again",
        "outbox: 3 rows",
        "outbox: 3 rows",
    ]


async def test_any_other_error_of_a_chore_ends_the_worker() -> None:
    with pytest.raises(ZeroDivisionError):
        await Housekeeping({"broken": Sweeping(ZeroDivisionError())}, (Outage,), PERIOD).run()


async def test_a_chore_is_repeated_until_no_rows_are_left_and_their_number_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def check() -> None:
        assert "outbox: 3 rows" in caplog.messages

    with caplog.at_level("INFO", "runtime.housekeeping"):
        async with running({"outbox": Sweeping()}):
            await eventually_async(check)


async def test_stop_ends_a_chore_after_the_batch_in_hand() -> None:
    batches = 0

    async def endless() -> int:
        nonlocal batches
        batches += 1
        housekeeping.stop()
        return 1

    housekeeping = Housekeeping({"endless": endless}, (Outage,), PERIOD)
    await housekeeping.run()
    assert batches == 1


async def test_housekeeping_that_was_stopped_before_its_start_does_nothing() -> None:
    housekeeping = Housekeeping({"outbox": (chore := Sweeping())}, (Outage,), period=3_600.0)
    housekeeping.stop()
    await housekeeping.run()
    assert chore.begun == 0
