"""POST /orders per second, with and without an Idempotency-Key, and its floors.

A floor is a part of the same work: the order service without a database, and the bare database transaction.
"""

import asyncio
import os
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from statistics import mean
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from bench.client import HOST, Connection
from bench.figures import Section
from bench.isolated import stopped
from bench.load import order_requests, post_rate, with_fresh_keys
from bench.rig import Rig, wait_until
from infra.native.layout import CHECKOUT
from infra.provision.schema import folders_of
from storage.migrate import apply

STARTED_WITHIN_SECONDS = 15.0
POOL_SIZES = (4, 8, 16, 32)
TRIAL_SECONDS = 0.5

POST = "POST /orders"
POST_WITH_KEY = "POST /orders with an Idempotency-Key"
POST_UNDER_LOAD = "POST /orders while all components consume"
SERVICE_WITHOUT_DATABASE = "the order service without a database"
BARE_TRANSACTION = "bare two-row transaction"
ONE_STATEMENT = "the same two rows in one statement"

TURNS = (POST, POST_WITH_KEY, POST_WITH_KEY, POST) * 2
"""Short turns: if the speed of the machine changes, it changes for both kinds."""

INSERT_ORDER = (
    "INSERT INTO orders (customer_id, total_cents, state, version) VALUES ($1, $2, 'PENDING', 1) RETURNING id"
)
INSERT_EVENT = "INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('order', $1, 'OrderCreated', $2)"
PAYLOAD = '{"orderId":42,"customerId":7,"orderTotal":{"amount":1},"version":1,"state":"PENDING"}'

# One round trip instead of four.
INSERT_BOTH = """
WITH placed AS (
    INSERT INTO orders (customer_id, total_cents, state, version) VALUES ($1, $2, 'PENDING', 1) RETURNING id
)
INSERT INTO outbox (aggregatetype, aggregateid, type, payload) SELECT 'order', id::text, 'OrderCreated', $3 FROM placed
"""

Transaction = Callable[[asyncpg.Pool], Awaitable[object]]


async def four_round_trips(pool: asyncpg.Pool) -> None:
    """BEGIN, two INSERTs, COMMIT."""
    async with pool.acquire() as connection, connection.transaction():
        order_id = await connection.fetchval(INSERT_ORDER, 7, 100)
        await connection.execute(INSERT_EVENT, str(order_id), PAYLOAD)


async def one_round_trip(pool: asyncpg.Pool) -> None:
    """The same two rows in one statement."""
    await pool.execute(INSERT_BOTH, 7, 100, PAYLOAD)


async def transactions_per_second(pool: asyncpg.Pool, transaction: Transaction, seconds: float) -> float:
    """The rate that all connections of the pool reach together."""
    began = time.monotonic()

    async def repeat() -> int:
        count = 0
        while time.monotonic() - began < seconds:
            await transaction(pool)
            count += 1
        return count

    counts = await asyncio.gather(*(repeat() for _ in range(pool.get_max_size())))
    return sum(counts) / (time.monotonic() - began)


async def measure(rig: Rig, customers: Sequence[int], seconds: float, runs: int, connections: int) -> Section:
    """Each run measures every rate, so a ratio compares two rates of the same run."""
    rates: list[dict[str, float]] = []
    async with floor_server() as port, scratch_database(rig.settings.postgres_url.get_secret_value()) as url:
        size = await best_pool_size(url)
        async with asyncpg.create_pool(url, min_size=size, max_size=size) as pool:
            for _ in range(runs):
                run = await post_rates(rig, customers, seconds, connections)
                run[SERVICE_WITHOUT_DATABASE] = await post_rate(port, order_requests(customers), connections, seconds)
                run[BARE_TRANSACTION] = await transactions_per_second(pool, four_round_trips, seconds)
                run[ONE_STATEMENT] = await transactions_per_second(pool, one_round_trip, seconds)
                order_port = rig.stack.port("order")
                run[POST_UNDER_LOAD] = await post_rate(order_port, order_requests(customers), connections, seconds)
                await rig.wait_until_drained()
                rates.append(run)
    return section(rates, size, connections)


async def post_rates(rig: Rig, customers: Sequence[int], seconds: float, connections: int) -> dict[str, float]:
    """The rates of POST /orders without and with an Idempotency-Key, in turns, while the bridge is stopped.

    Args:
        seconds: for each kind, all its turns together.
    """
    requests = {POST: order_requests(customers), POST_WITH_KEY: with_fresh_keys(order_requests(customers))}
    rates: dict[str, list[float]] = {name: [] for name in requests}
    turn_seconds = seconds * len(requests) / len(TURNS)
    async with stopped(rig, "bridge"):
        for name in TURNS:
            rate = await post_rate(rig.stack.port("order"), requests[name], connections, turn_seconds)
            rates[name].append(rate)
    await rig.wait_until_drained()
    return {name: mean(turns) for name, turns in rates.items()}


def section(runs: Sequence[Mapping[str, float]], pool_size: int, connections: int) -> Section:
    """The table: the rates, and their ratios.

    Args:
        runs: the rates of each run, by name.
    """
    found = Section("POST /orders alone, and its floors")
    found.add_rows("/s", runs)
    found.add(f"{POST_WITH_KEY} : without", "ratio", *(run[POST_WITH_KEY] / run[POST] for run in runs))
    for floor in (SERVICE_WITHOUT_DATABASE, BARE_TRANSACTION, ONE_STATEMENT):
        found.add(f"{POST} : {floor}", "ratio", *(run[POST] / run[floor] for run in runs))
    found.notes.append(
        f"{connections} HTTP connections. Alone: the bridge is stopped, so no service consumes the events; Debezium "
        f"captures them meanwhile. With and without a key are measured in turns; each key is a fresh one. The service "
        f"without a database is assembled as in production, over ports that store nothing. The bare transactions "
        f"use asyncpg with {pool_size} connections (the fastest of {', '.join(map(str, POOL_SIZES))}), on the same "
        f"tables in a database of their own."
    )
    return found


async def best_pool_size(url: str) -> int:
    """The number of connections with the most bare transactions per second."""
    rates: dict[int, float] = {}
    for size in POOL_SIZES:
        async with asyncpg.create_pool(url, min_size=size, max_size=size) as pool:
            await transactions_per_second(pool, four_round_trips, TRIAL_SECONDS)
            rates[size] = await transactions_per_second(pool, four_round_trips, TRIAL_SECONDS)
    return max(rates, key=lambda size: rates[size])


@asynccontextmanager
async def scratch_database(admin_url: str) -> AsyncIterator[str]:
    """The URL of a new database with the order service's tables. It is dropped at the end."""
    name = f"bench_{secrets.token_hex(4)}"
    url = urlunsplit(urlsplit(admin_url)._replace(path=f"/{name}"))
    admin = await asyncpg.connect(admin_url)
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        await apply(url, folders_of("order"))
        yield url
    finally:
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.close()


@asynccontextmanager
async def floor_server() -> AsyncIterator[int]:
    """Runs bench/floor_server.py in a process of its own, and yields its port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = int(probe.getsockname()[1])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.floor_server",
        cwd=CHECKOUT,
        env=os.environ | {"HTTP_HOST": HOST, "HTTP_PORT": str(port), "LOG_LEVEL": "WARNING"},
    )
    try:
        await wait_until(lambda: _is_open(port), STARTED_WITHIN_SECONDS)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def _is_open(port: int) -> bool:
    try:
        (await Connection.open(port)).close()
    except OSError:
        return False
    return True
