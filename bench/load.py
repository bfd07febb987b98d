"""Orders: as many as some connections can place, and how many of them have come to the end of the path."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection

from bench.client import Connection, post, read
from bench.rig import Rig
from services.history.views import Document

TOTAL = {"amount": 1}
LOOK_SECONDS = 0.1
"""How often the view is asked which orders have come to it."""


def order_requests(customers: Sequence[int]) -> Iterator[bytes]:
    """POST /orders for one customer after the other, for ever."""
    return itertools.cycle([post("/orders", {"customerId": c, "orderTotal": TOTAL}) for c in customers])


@dataclass
class Progress:
    """Orders that were placed, and those of them that the view shows as APPROVED.

    Attributes:
        placed, visible: how many so far.
        under_way: ids of those that are placed and not visible.
    """

    placed: int = 0
    visible: int = 0
    under_way: set[int] = field(default_factory=set)

    def add(self, order_id: int) -> None:
        self.placed += 1
        self.under_way.add(order_id)

    async def look(self, shown: AsyncIOMotorCollection[Document]) -> None:
        """Asks the view for what is APPROVED from the oldest order under way on; ids grow with time."""
        if not self.under_way:
            return
        approved = {"_id": {"$gte": min(self.under_way)}, "state": "APPROVED"}
        seen = {document["_id"] async for document in shown.find(approved, {"_id": 1}, batch_size=10_000)}
        arrived = self.under_way & seen
        self.under_way -= arrived
        self.visible += len(arrived)


@dataclass
class Load:
    """Places orders on each of its connections as soon as the last one was answered.

    Attributes:
        bound: no order is placed while so many are under way; None places on regardless. With a bound,
            what is measured is a rate that the whole path sustains, not one that a backlog lends.
    """

    requests: Iterator[bytes]
    bound: int | None
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self._room = asyncio.Event()
        self._room.set()

    async def place(self, connection: Connection) -> None:
        """Until cancelled.

        Raises:
            RequestFailed: an order was not taken.
        """
        while True:
            await self._room.wait()
            request = next(self.requests)
            self.progress.add(read(request, *await connection.send(request))["orderId"])
            self._let_through()

    async def watch(self, shown: AsyncIOMotorCollection[Document]) -> None:
        """Until cancelled."""
        while True:
            await self.progress.look(shown)
            self._let_through()
            await asyncio.sleep(LOOK_SECONDS)

    def _let_through(self) -> None:
        if self.bound is None or len(self.progress.under_way) < self.bound:
            self._room.set()
        else:
            self._room.clear()


async def answered(port: int, customers: Sequence[int], connections: int, seconds: float) -> float:
    """POST /orders answered per second, whatever becomes of the orders."""
    load = Load(order_requests(customers), bound=None)
    async with _placing_on(port, load, connections):
        began = time.monotonic()
        await asyncio.sleep(seconds)
        return load.progress.placed / (time.monotonic() - began)


@asynccontextmanager
async def placing(rig: Rig, customers: Sequence[int], connections: int, bound: int) -> AsyncIterator[Progress]:
    """Places orders in the background while the block runs; the first failure of any part is raised."""
    load = Load(order_requests(customers), bound)
    async with _placing_on(rig.stack.port("order"), load, connections), _background(load.watch(rig.shown)):
        yield load.progress


@asynccontextmanager
async def _placing_on(port: int, load: Load, connections: int) -> AsyncIterator[None]:
    opened = [await Connection.open(port) for _ in range(connections)]
    try:
        async with _background(*(load.place(connection) for connection in opened)):
            yield
    finally:
        for connection in opened:
            connection.close()


@asynccontextmanager
async def _background(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs the work while the block runs; its first failure ends the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
        yield
        for task in tasks:
            task.cancel()
