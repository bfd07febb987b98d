"""Requests that come together are carried out together, and each gets its own answer."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from runtime.group_commit import LARGEST, PACE, GroupCommit
from tests.simulation.clock import VirtualLoop, pass_time


class DatabaseGone(Exception):
    pass


@dataclass
class Database:
    """Doubles numbers, a group at a time, when it is told to go on."""

    groups: list[list[int]] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    fault: Exception | None = None

    async def commit(self, numbers: Sequence[int]) -> list[int]:
        self.groups.append(list(numbers))
        await self.open.wait()
        if self.fault:
            raise self.fault
        return [number * 2 for number in numbers]


async def _submit(group_commit: GroupCommit[int, int], numbers: Sequence[int]) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(group_commit.submit(number)) for number in numbers]
    for _ in range(3):
        await asyncio.create_task(_nothing())  # a turn of the event loop: they all get as far as they can
    return tasks


async def _nothing() -> None:
    pass


async def test_a_lone_request_is_carried_out_at_once() -> None:
    database = Database()
    [task] = await _submit(GroupCommit(database.commit), [1])
    assert database.groups == [[1]]
    database.open.set()
    assert await task == 2


async def test_requests_that_come_meanwhile_share_the_next_transaction_and_get_their_own_answers() -> None:
    database = Database()
    group_commit = GroupCommit(database.commit)
    [first] = await _submit(group_commit, [1])
    tasks = await _submit(group_commit, [10, 11, 12])
    assert database.groups == [[1]]
    database.open.set()
    assert await asyncio.gather(*tasks) == [20, 22, 24]
    assert database.groups == [[1], [10, 11, 12]]
    assert await first == 2


async def test_a_transaction_takes_a_limited_number_of_requests() -> None:
    database = Database()
    database.open.set()
    tasks = await _submit(GroupCommit(database.commit), range(LARGEST + 1))
    assert await asyncio.gather(*tasks) == [number * 2 for number in range(LARGEST + 1)]
    assert max(map(len, database.groups)) <= LARGEST


async def test_all_requests_of_a_failed_transaction_get_its_error_and_later_ones_do_not() -> None:
    database = Database(fault=DatabaseGone())
    group_commit = GroupCommit(database.commit)
    database.open.set()
    for outcome in await asyncio.gather(*await _submit(group_commit, [1, 2, 3]), return_exceptions=True):
        assert isinstance(outcome, DatabaseGone)
    database.fault = None
    assert await group_commit.submit(4) == 8


async def test_answers_that_are_too_few_are_an_error_for_those_without_one() -> None:
    async def forget_the_last(numbers: Sequence[int]) -> Sequence[int]:
        return numbers[:-1]

    answered, forgotten = await _submit(GroupCommit(forget_the_last), [1, 2])
    assert await answered == 1
    with pytest.raises(ValueError, match="shorter"):
        await forgotten


async def test_a_request_that_is_given_up_does_not_disturb_the_others() -> None:
    database = Database()
    group_commit = GroupCommit(database.commit)
    given_up, *others = await _submit(group_commit, [1, 2, 3])
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    database.open.set()
    assert await asyncio.gather(*others) == [4, 6]


COMMIT_SECONDS = 0.002


def _beginnings(arrivals: Sequence[float]) -> list[tuple[float, int]]:
    """When transactions begin, and of how many requests, if requests come at these times and a commit takes 2 ms."""
    begun: list[tuple[float, int]] = []

    async def commit(numbers: Sequence[float]) -> Sequence[float]:
        begun.append((round(asyncio.get_running_loop().time(), 6), len(numbers)))
        await pass_time(COMMIT_SECONDS)
        return numbers

    async def come() -> None:
        group_commit = GroupCommit(commit)

        async def submit(at: float) -> None:
            await pass_time(at)
            await group_commit.submit(at)

        await asyncio.gather(*map(submit, arrivals))

    VirtualLoop().run(come())
    return begun


def test_a_client_that_places_one_order_after_the_other_never_waits() -> None:
    assert _beginnings([0.0, 0.0025, 0.005]) == [(0.0, 1), (0.0025, 1), (0.005, 1)]


def test_a_request_that_comes_during_a_transaction_waits_for_company() -> None:
    assert _beginnings([0.0, 0.001, 0.003]) == [(0.0, 1), (PACE.for_each, 2)]


def test_after_a_large_transaction_the_next_one_begins_at_once() -> None:
    assert _beginnings([0.0] * PACE.enough + [0.001]) == [(0.0, PACE.enough), (COMMIT_SECONDS, 1)]
