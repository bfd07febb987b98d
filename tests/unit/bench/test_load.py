"""The load: its requests, its limit of orders in flight, and the progress of its orders into the view."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from typing import Any

from bench.load import Load, Progress, order_requests, with_fresh_keys
from tests.eventually import eventually_async

KEY = re.compile(rb"\r\nIdempotency-Key: ([0-9a-f]{32})\r\n")


class Server:
    """Answers each request at once, with the next order id. In place of a connection."""

    def __init__(self) -> None:
        self.requests = 0

    async def send(self, _request: bytes) -> tuple[int, bytes]:
        self.requests += 1
        assert self.requests <= 100, "nothing stops the load"
        return 200, b'{"orderId":%d}' % self.requests


class View:
    """Shows these orders as APPROVED. In place of the view's collection of orders."""

    def __init__(self, *approved: int) -> None:
        self.approved = set(approved)

    async def find(self, query: dict[str, Any], *_: object, **__: object) -> AsyncIterator[dict[str, int]]:
        assert query["state"] == "APPROVED"
        for order_id in self.approved:
            if order_id >= query["_id"]["$gte"]:
                yield {"_id": order_id}


def test_orders_are_requested_for_the_customers_in_turn() -> None:
    requests = list(itertools.islice(order_requests([7, 8]), 3))
    assert b'{"customerId":7,' in requests[0]
    assert b'{"customerId":8,' in requests[1]
    assert requests[2] == requests[0]


def test_each_request_gets_an_idempotency_key_of_its_own() -> None:
    plain = order_requests([7])
    keyed = list(itertools.islice(with_fresh_keys(order_requests([7])), 3))
    keys = {key for request in keyed for key in KEY.findall(request)}
    assert len(keys) == 3
    assert {KEY.sub(b"\r\n", request) for request in keyed} == {next(plain)}


async def test_no_order_is_placed_while_as_many_as_the_limit_are_in_flight() -> None:
    load = Load(itertools.cycle([b"POST"]), max_in_flight=2)
    server = Server()
    placing = asyncio.create_task(load.place_orders(server))  # type: ignore[arg-type]
    await asyncio.wait({placing}, timeout=0)
    assert (server.requests, load.progress.in_flight) == (2, {1, 2})
    assert not placing.done()
    placing.cancel()


async def test_orders_are_placed_again_after_the_view_shows_one_that_was_in_flight() -> None:
    load = Load(itertools.cycle([b"POST"]), max_in_flight=2)
    server = Server()
    placing = asyncio.create_task(load.place_orders(server))  # type: ignore[arg-type]
    await asyncio.wait({placing}, timeout=0)
    polling = asyncio.create_task(load.poll_view(View(1)))  # type: ignore[arg-type]

    async def one_more_is_placed() -> None:
        assert (server.requests, load.progress.in_flight, load.progress.visible) == (3, {2, 3}, 1)

    await eventually_async(one_more_is_placed, within=5.0)
    placing.cancel()
    polling.cancel()


async def test_only_orders_of_this_load_count_as_visible_and_each_counts_once() -> None:
    progress = Progress()
    for order_id in (5, 6, 7):
        progress.add(order_id)
    for _ in range(2):
        await progress.poll_view(View(1, 5, 6, 9))  # type: ignore[arg-type]
    assert (progress.placed, progress.visible, progress.in_flight) == (3, 2, {7})
