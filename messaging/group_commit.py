"""One transaction for requests that come at the same time.

A commit costs the same for one row as for fifty: the round trips and the disk's confirmation. A request that comes
alone is carried out at once; those that come while a transaction is under way wait for the next one, and it for more
company: what follows a commit (the log's reader, Kafka, the bridge, the consumers) costs the same for one row, too.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from messaging.pace import Pace

Request = TypeVar("Request")
Result = TypeVar("Result")

LARGEST = 100
"""Requests in one transaction at most."""

PACE = Pace(for_each=0.004, times=4, longest=0.012, enough=8)
"""For a transaction that somebody waits for already while the one before is under way."""


class GroupCommit(Generic[Request, Result]):
    """Carries requests out in groups.

    Args:
        commit: carries out all of a group, or none, and returns their results in the order given.
    """

    def __init__(self, commit: Callable[[Sequence[Request]], Awaitable[Sequence[Result]]]) -> None:
        self._commit = commit
        self._waiting: list[tuple[Request, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

    async def submit(self, request: Request) -> Result:
        """Returns when the request is committed.

        Raises:
            what `commit` raises: all requests of a group share its fate, known or unknown. They are not tried
            again one by one, for a commit whose answer was lost may have taken place.
        """
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, result))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await result

    async def _run(self) -> None:
        now = asyncio.get_running_loop().time
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
                began = now()
                await self._carry_out(group)
                if self._waiting:
                    await asyncio.sleep(PACE.rest(len(group), now() - began))
        finally:
            self._running = None

    async def _carry_out(self, group: Sequence[tuple[Request, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._commit([request for request, _ in group])
            for (_, waiter), result in zip(group, results, strict=True):
                if not waiter.done():
                    waiter.set_result(result)
        except Exception as error:  # noqa: BLE001 - handed to those who asked
            for _, waiter in group:
                if not waiter.done():
                    waiter.set_exception(error)
