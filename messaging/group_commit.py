"""One transaction for requests that come at the same time.

A commit costs the same for one row as for fifty: the round trips and the disk's confirmation. A request that comes
alone is carried out at once; those that come while the transactions are under way wait for the next one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Request = TypeVar("Request")
Result = TypeVar("Result")

LARGEST = 100
"""Requests in one transaction at most."""

TRANSACTIONS = 2
"""While one waits for the disk, the next one is made up."""


class GroupCommit(Generic[Request, Result]):
    """Carries requests out in groups.

    Args:
        commit: carries out all of a group, or none, and returns their results in the order given.
    """

    def __init__(self, commit: Callable[[Sequence[Request]], Awaitable[Sequence[Result]]]) -> None:
        self._commit = commit
        self._waiting: list[tuple[Request, asyncio.Future[Result]]] = []
        self._running: set[asyncio.Task[None]] = set()

    async def submit(self, request: Request) -> Result:
        """Returns when the request is committed.

        Raises:
            what `commit` raises: all requests of a group share its fate, known or unknown. They are not tried
            again one by one, for a commit whose answer was lost may have taken place.
        """
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, result))
        if len(self._running) < TRANSACTIONS:
            task = asyncio.create_task(self._run())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await result

    async def _run(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
            try:
                results = await self._commit([request for request, _ in group])
            except Exception as error:  # noqa: BLE001 - handed to those who asked
                for _, waiter in group:
                    if not waiter.done():
                        waiter.set_exception(error)
            else:
                for (_, waiter), result in zip(group, results, strict=True):
                    if not waiter.done():
                        waiter.set_result(result)
