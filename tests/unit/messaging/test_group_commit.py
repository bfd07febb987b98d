"""Requests that come together are carried out together, and each gets its own answer."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from messaging.group_commit import LARGEST, TRANSACTIONS, GroupCommit


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
    busy = [await _submit(group_commit, [number]) for number in range(TRANSACTIONS)]
    tasks = await _submit(group_commit, [10, 11, 12])
    assert len(database.groups) == TRANSACTIONS
    database.open.set()
    assert await asyncio.gather(*tasks) == [20, 22, 24]
    assert database.groups[TRANSACTIONS:] == [[10, 11, 12]]
    assert [await task for [task] in busy] == [0, 2]


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


async def test_a_request_that_is_given_up_does_not_disturb_the_others() -> None:
    database = Database()
    group_commit = GroupCommit(database.commit)
    given_up, *others = await _submit(group_commit, [1, 2, 3])
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    database.open.set()
    assert await asyncio.gather(*others) == [4, 6]
