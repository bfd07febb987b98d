"""Group commit: requests that arrive at the same time share one transaction.

A commit has a fixed cost, for one row as for fifty: the round trips to the database and its flush to disk. A request
that arrives alone is carried out at once. Requests that arrive while a transaction runs are put into the next group.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from runtime.linger import Linger

Request = TypeVar("Request")
Result = TypeVar("Result")

LARGEST_GROUP = 100
"""Requests in one transaction at most."""

LINGER = Linger(per_item=0.004, multiple=4, longest=0.012, full_batch=8)
"""Before a group that already waits. Each commit sets off the log reader, Kafka, the bridge and the consumers: a larger
group saves all of them work."""


class GroupCommit(Generic[Request, Result]):
    """Carries out requests in groups.

    Args:
        commit: carries out all requests of a group in one transaction, or none of them. Returns one outcome for each
            request, in the order given: its result, or the error that only this request is answered with.
    """

    def __init__(self, commit: Callable[[Sequence[Request]], Awaitable[Sequence[Result | Exception]]]) -> None:
        self._commit = commit
        self._waiting: list[tuple[Request, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

    async def submit(self, request: Request) -> Result:
        """Returns when the request is committed.

        Raises:
            The error that `commit` returned for this request, or the error that `commit` raised for the whole group.
            A group is not split and tried again: if the answer to its commit was lost, it may be committed.
        """
        outcome: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, outcome))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await outcome

    async def _run(self) -> None:
        now = asyncio.get_running_loop().time
        group: list[tuple[Request, asyncio.Future[Result]]] = []
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:LARGEST_GROUP], self._waiting[LARGEST_GROUP:]
                began = now()
                await self._carry_out(group)
                if self._waiting:
                    await asyncio.sleep(LINGER.pause(len(group), now() - began))
        finally:
            self._running = None
            # Only if this task was cancelled, or `commit` was: nobody would answer these requests any more.
            for _, waiter in (*group, *self._waiting):
                waiter.cancel()
            self._waiting = []

    async def _carry_out(self, group: Sequence[tuple[Request, asyncio.Future[Result]]]) -> None:
        try:
            outcomes = await self._commit([request for request, _ in group])
            for (_, waiter), outcome in zip(group, outcomes, strict=True):
                _answer(waiter, outcome)
        except Exception as error:  # noqa: BLE001 - each waiting request raises it
            for _, waiter in group:
                _answer(waiter, error)


def _answer(waiter: asyncio.Future[Result], outcome: Result | Exception) -> None:
    if waiter.done():
        return  # the client has gone, or was answered before the error
    if isinstance(outcome, Exception):
        waiter.set_exception(outcome)
    else:
        waiter.set_result(outcome)
