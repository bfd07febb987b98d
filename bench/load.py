"""Load: connections that place orders as fast as they are answered, and the progress of these orders into the view."""

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection

from bench.client import Connection, add_header, parse_response, post
from bench.rig import Rig
from services.history.views import Document

ORDER_TOTAL = {"amount": 1}

VIEW_POLL_SECONDS = 0.1
"""Between two queries of the view for approved orders."""


def order_requests(customers: Sequence[int]) -> Iterator[bytes]:
    """POST /orders, without end, for the customers in turn."""
    return itertools.cycle([post("/orders", {"customerId": c, "orderTotal": ORDER_TOTAL}) for c in customers])


def with_fresh_keys(requests: Iterator[bytes]) -> Iterator[bytes]:
    """The same requests, each with an Idempotency-Key of its own: 32 random hexadecimal digits."""
    return (add_header(request, "Idempotency-Key", secrets.token_hex(16)) for request in requests)


@dataclass
class Progress:
    """The orders of a load.

    Attributes:
        placed: how many were placed so far.
        visible: how many of them the view shows as APPROVED.
        in_flight: the ids of those that are placed and not visible yet.
    """

    placed: int = 0
    visible: int = 0
    in_flight: set[int] = field(default_factory=set)

    def add(self, order_id: int) -> None:
        self.placed += 1
        self.in_flight.add(order_id)

    async def poll_view(self, orders: AsyncIOMotorCollection[Document]) -> None:
        """Queries the view once. Order ids grow, so the query begins at the oldest order in flight."""
        if not self.in_flight:
            return
        approved = {"_id": {"$gte": min(self.in_flight)}, "state": "APPROVED"}
        shown = {document["_id"] async for document in orders.find(approved, {"_id": 1}, batch_size=10_000)}
        arrived = self.in_flight & shown
        self.in_flight -= arrived
        self.visible += len(arrived)


@dataclass
class Load:
    """A closed loop: each connection places its next order when the last one is answered.

    Attributes:
        requests: the requests to send; all connections share them.
        max_in_flight: while this many orders are in flight, no order is placed. The measured rate is then one that the
            whole path sustains: no backlog grows. None: no limit.
    """

    requests: Iterator[bytes]
    max_in_flight: int | None
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self._below_limit = asyncio.Event()
        self._below_limit.set()

    async def place_orders(self, connection: Connection) -> None:
        """Places orders on one connection until it is cancelled.

        Raises:
            RequestFailed: an order was refused.
        """
        while True:
            await self._below_limit.wait()
            request = next(self.requests)
            self.progress.add(parse_response(request, *await connection.send(request))["orderId"])
            self._check_limit()

    async def poll_view(self, orders: AsyncIOMotorCollection[Document]) -> None:
        """Queries the view periodically until it is cancelled."""
        while True:
            await self.progress.poll_view(orders)
            self._check_limit()
            await asyncio.sleep(VIEW_POLL_SECONDS)

    def _check_limit(self) -> None:
        if self.max_in_flight is None or len(self.progress.in_flight) < self.max_in_flight:
            self._below_limit.set()
        else:
            self._below_limit.clear()


async def post_rate(port: int, requests: Iterator[bytes], connections: int, seconds: float) -> float:
    """Answered requests per second. What the system does with the orders afterwards is not waited for."""
    load = Load(requests, max_in_flight=None)
    async with _placing_on(port, load, connections):
        began = time.monotonic()
        await asyncio.sleep(seconds)
        return load.progress.placed / (time.monotonic() - began)


@asynccontextmanager
async def placing_orders(
    rig: Rig, customers: Sequence[int], connections: int, max_in_flight: int
) -> AsyncIterator[Progress]:
    """Places orders in the background while the block runs. The first error of a background task is raised."""
    load = Load(order_requests(customers), max_in_flight)
    async with (
        _placing_on(rig.stack.port("order"), load, connections),
        _in_background(load.poll_view(rig.view_orders)),
    ):
        yield load.progress


@asynccontextmanager
async def _placing_on(port: int, load: Load, connections: int) -> AsyncIterator[None]:
    opened = [await Connection.open(port) for _ in range(connections)]
    try:
        async with _in_background(*(load.place_orders(connection) for connection in opened)):
            yield
    finally:
        for connection in opened:
            connection.close()


@asynccontextmanager
async def _in_background(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs the coroutines while the block runs. The first error of one of them ends the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(coroutine) for coroutine in coroutines]
        yield
        for task in tasks:
            task.cancel()
