"""Requests that arrive together are carried out together, and each gets its own outcome."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from runtime.group_commit import LARGEST_GROUP, LINGER, GroupCommit
from tests.simulation.clock import VirtualLoop, pass_time


class DatabaseGone(Exception):
    """The commit of a group failed."""


class Refused(Exception):
    """One request of a group is refused."""


@dataclass
class Database:
    """Doubles numbers, a group at a time, when it is told to go on; refuses negative ones."""

    groups: list[list[int]] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    fault: Exception | None = None

    async def commit(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.groups.append(list(numbers))
        await self.open.wait()
        if self.fault:
            raise self.fault
        return [number * 2 if number >= 0 else Refused() for number in numbers]


async def _submit(group_commit: GroupCommit[int, int], numbers: Sequence[int]) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(group_commit.submit(number)) for number in numbers]
    for _ in range(3):
        await asyncio.create_task(_nothing())  # a turn of the event loop: each gets as far as it can
    return tasks


async def _nothing() -> None:
    pass


async def test_a_lone_request_is_carried_out_at_once() -> None:
    database = Database()
    [task] = await _submit(GroupCommit(database.commit), [1])
    assert database.groups == [[1]]
    database.open.set()
    assert await task == 2


async def test_requests_that_arrive_during_a_commit_share_the_next_one_and_get_their_own_results() -> None:
    database = Database()
    group_commit = GroupCommit(database.commit)
    [first] = await _submit(group_commit, [1])
    tasks = await _submit(group_commit, [10, 11, 12])
    assert database.groups == [[1]]
    database.open.set()
    assert await asyncio.gather(*tasks) == [20, 22, 24]
    assert database.groups == [[1], [10, 11, 12]]
    assert await first == 2


async def test_requests_that_arrive_at_the_same_moment_share_one_commit() -> None:
    database = Database()
    database.open.set()
    group_commit = GroupCommit(database.commit)
    assert await asyncio.gather(*map(group_commit.submit, range(50))) == [number * 2 for number in range(50)]
    assert database.groups == [list(range(50))]


async def test_a_commit_takes_a_limited_number_of_requests() -> None:
    database = Database()
    database.open.set()
    tasks = await _submit(GroupCommit(database.commit), range(LARGEST_GROUP + 1))
    assert await asyncio.gather(*tasks) == [number * 2 for number in range(LARGEST_GROUP + 1)]
    assert [len(group) for group in database.groups] == [LARGEST_GROUP, 1]


async def test_an_error_of_one_request_is_raised_for_that_request_only() -> None:
    database = Database()
    database.open.set()
    outcomes = await asyncio.gather(*await _submit(GroupCommit(database.commit), [1, -1, 3]), return_exceptions=True)
    assert (outcomes[0], type(outcomes[1]), outcomes[2]) == (2, Refused, 6)
    assert database.groups == [[1, -1, 3]]


async def test_all_requests_of_a_failed_commit_get_its_error_and_later_ones_do_not() -> None:
    database = Database(fault=DatabaseGone())
    group_commit = GroupCommit(database.commit)
    database.open.set()
    for outcome in await asyncio.gather(*await _submit(group_commit, [1, 2, 3]), return_exceptions=True):
        assert isinstance(outcome, DatabaseGone)
    assert database.groups == [[1, 2, 3]]
    database.fault = None
    assert await group_commit.submit(4) == 8


async def test_a_request_without_an_outcome_gets_an_error() -> None:
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


async def test_a_commit_that_is_cancelled_cancels_its_requests_and_those_that_wait_and_no_later_one() -> None:
    database = Database()
    group_commit = GroupCommit(database.commit)
    tasks = [*await _submit(group_commit, [1]), *await _submit(group_commit, [2])]
    [commit] = [task for task in asyncio.all_tasks() if "GroupCommit._run" in repr(task.get_coro())]
    commit.cancel()
    done, _ = await asyncio.wait(tasks, timeout=5)
    assert [task.cancelled() for task in tasks if task in done] == [True, True]
    database.open.set()
    assert await group_commit.submit(4) == 8


COMMIT_SECONDS = 0.002


def _beginnings(arrivals: Sequence[float]) -> list[tuple[float, int]]:
    """When commits begin, and of how many requests, if requests arrive at these times and a commit takes 2 ms."""
    begun: list[tuple[float, int]] = []

    async def commit(numbers: Sequence[float]) -> Sequence[float]:
        begun.append((round(asyncio.get_running_loop().time(), 6), len(numbers)))
        await pass_time(COMMIT_SECONDS)
        return numbers

    async def arrive() -> None:
        group_commit = GroupCommit[float, float](commit)

        async def submit(at: float) -> None:
            await pass_time(at)
            await group_commit.submit(at)

        await asyncio.gather(*map(submit, arrivals))

    VirtualLoop().run(arrive())
    return begun


def test_a_client_that_places_one_order_after_the_other_never_lingers() -> None:
    assert _beginnings([0.0, 0.0025, 0.005]) == [(0.0, 1), (0.0025, 1), (0.005, 1)]


def test_a_request_that_arrives_during_a_commit_lingers_for_others() -> None:
    assert _beginnings([0.0, 0.001, 0.003]) == [(0.0, 1), (LINGER.per_item, 2)]


def test_after_a_full_batch_the_next_commit_begins_at_once() -> None:
    assert _beginnings([0.0] * LINGER.full_batch + [0.001]) == [(0.0, LINGER.full_batch), (COMMIT_SECONDS, 1)]
