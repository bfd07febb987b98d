"""Waiting for orders to become final, for `Prefer: wait`."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from services.order.domain import Order

LOOK_AGAIN_SECONDS = 0.5
"""Another instance may have settled the order, which is seen only in the database."""

Find = Callable[[int], Awaitable[Order | None]]


class Waiting:
    """Who waits for which order; told by the handlers after their commit."""

    def __init__(self) -> None:
        self._waiters: dict[int, set[asyncio.Event]] = defaultdict(set)

    def announce(self, order_ids: Iterable[int]) -> None:
        """Wakes whoever waits for these orders."""
        for order_id in order_ids:
            for news in self._waiters.get(order_id, ()):
                news.set()

    async def until_settled(self, find: Find, order_id: int, seconds: float) -> Order | None:
        """The order as soon as it is not PENDING any more, or as it is after `seconds`; None if unknown."""
        deadline = asyncio.get_running_loop().time() + seconds
        async with self._news_of(order_id) as news:
            while True:
                news.clear()
                order = await find(order_id)
                left = deadline - asyncio.get_running_loop().time()
                if order is None or not order.is_pending or left <= 0:
                    return order
                await _wait(news, min(left, LOOK_AGAIN_SECONDS))

    @asynccontextmanager
    async def _news_of(self, order_id: int) -> AsyncIterator[asyncio.Event]:
        # Registered before the first look, or a decision between look and wait would be missed.
        news = asyncio.Event()
        self._waiters[order_id].add(news)
        try:
            yield news
        finally:
            self._waiters[order_id].discard(news)
            if not self._waiters[order_id]:
                del self._waiters[order_id]


async def _wait(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return
