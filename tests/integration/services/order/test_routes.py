"""The order service's requests, through its assembled HTTP application, on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest

from messaging.connection import Connection
from services.order.app import MIGRATIONS
from services.order.ports import Ports
from services.order.repository import Repository
from services.order.service import assemble
from services.order.settings import Settings
from storage.postgres import PostgresDatabase
from tests.builders import traceparent
from tests.engines import migrate_database
from web.application import http_app

SETTINGS = Settings(database_url="", nats_url="", nats_token="", http_port=0)


@pytest.fixture
async def http(database: str, pool: asyncpg.Pool, stream: Connection) -> AsyncIterator[httpx.AsyncClient]:
    await migrate_database(database, "order")
    orders = PostgresDatabase(pool, MIGRATIONS)
    await orders.wait_for_schema()
    app = http_app(assemble(Ports(orders, Repository(pool), stream), SETTINGS))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://order") as client:
        yield client


async def _place(http: httpx.AsyncClient, trace: str | None = None, key: str | None = None) -> int:
    headers = {"traceparent": trace, "Idempotency-Key": key}
    answer = await http.post(
        "/orders",
        json={"customerId": 1, "orderTotal": {"amount": 4}},
        headers={name: value for name, value in headers.items() if value is not None},
    )
    assert answer.status_code == 200, answer.text
    return int(answer.json()["orderId"])


async def _traces(pool: asyncpg.Pool) -> dict[int, str | None]:
    """The trace of each order's event."""
    rows = await pool.fetch("SELECT aggregateid, traceparent FROM outbox")
    return {int(row["aggregateid"]): row["traceparent"] for row in rows}


async def test_each_event_of_a_group_carries_the_trace_of_its_own_request(
    pool: asyncpg.Pool, http: httpx.AsyncClient
) -> None:
    traces = [traceparent(1), None, traceparent(2), traceparent(3), None, traceparent(4)]
    keys = ["a", "b", None, None, None, "c"]
    ids = await asyncio.gather(*(_place(http, trace, key) for trace, key in zip(traces, keys, strict=True)))
    assert await _traces(pool) == dict(zip(ids, traces, strict=True))
    # One transaction: they were a group indeed.
    assert await pool.fetchval("SELECT count(DISTINCT xmin::text) FROM orders") == 1


async def test_a_repeated_key_leaves_the_trace_of_the_first_request(
    pool: asyncpg.Pool, http: httpx.AsyncClient
) -> None:
    first, in_the_group = await asyncio.gather(*(_place(http, traceparent(number), "a") for number in (1, 2)))
    later = await _place(http, traceparent(3), "a")
    assert first == in_the_group == later
    assert await _traces(pool) == {first: traceparent(1)}


async def test_an_invalid_trace_is_not_stored(pool: asyncpg.Pool, http: httpx.AsyncClient) -> None:
    order = await _place(http, "00-not-a-trace")
    assert await _traces(pool) == {order: None}


async def test_a_cancellation_carries_the_trace_of_its_own_request(pool: asyncpg.Pool, http: httpx.AsyncClient) -> None:
    order = await _place(http, traceparent(1))
    await http.post(f"/orders/{order}/cancel", headers={"traceparent": traceparent(2)})
    rows = await pool.fetch("SELECT type, traceparent FROM outbox")
    assert {row["type"]: row["traceparent"] for row in rows} == {
        "OrderCreated": traceparent(1),
        "OrderCancelled": traceparent(2),
    }
