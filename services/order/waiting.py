"""Waiters: requests with `Prefer: wait` that wait for an order to become final."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from services.order.domain import Order

POLL_SECONDS = 0.5
"""Between two queries of a waiter. If another instance settles the order, only the database shows it."""

Find = Callable[[int], Awaitable[Order | None]]


class Waiting:
    """The waiters by order. Handlers call `announce` after their commit."""

    def __init__(self) -> None:
        # By order id, in the order of arrival. A set of futures has another order in each process, and the simulation
        # could not replay a schedule.
        self._waiters: dict[int, dict[asyncio.Future[Order], None]] = defaultdict(dict)

    def announce(self, orders: Iterable[Order]) -> None:
        """Hands final orders to their waiters, which then do not query the database again."""
        for order in orders:
            for waiter in self._waiters.get(order.id, ()):
                if not waiter.done():
                    waiter.set_result(order)

    async def until_settled(
        self, find: Find, order_id: int, seconds: float, *, just_placed: bool = False
    ) -> Order | None:
        """The order as soon as it is not PENDING, or its state after `seconds`; None if there is no such order.

        Args:
            find: queries the order.
            just_placed: the order was placed by this request. Its first query is saved: it would be PENDING.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        # Registered before the first query: a decision between the query and the wait would be missed otherwise.
        async with self._registered(order_id) as waiter:
            if just_placed and await _is_settled(waiter, min(seconds, POLL_SECONDS)):
                return waiter.result()
            while True:
                order = await find(order_id)
                left = deadline - asyncio.get_running_loop().time()
                if order is None or not order.is_pending or left <= 0:
                    return order
                if await _is_settled(waiter, min(left, POLL_SECONDS)):
                    return waiter.result()

    @asynccontextmanager
    async def _registered(self, order_id: int) -> AsyncIterator[asyncio.Future[Order]]:
        waiter: asyncio.Future[Order] = asyncio.get_running_loop().create_future()
        self._waiters[order_id][waiter] = None
        try:
            yield waiter
        finally:
            del self._waiters[order_id][waiter]
            if not self._waiters[order_id]:
                del self._waiters[order_id]


async def _is_settled(waiter: asyncio.Future[Order], seconds: float) -> bool:
    await asyncio.wait([waiter], timeout=seconds)
    return waiter.done()
