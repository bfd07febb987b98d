"""POST /orders per second, beside what it is made of: the same route without a database, and the bare transaction."""

import asyncio
import os
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from bench.client import HOST, Connection
from bench.figures import Section
from bench.isolated import stopped
from bench.load import answered
from bench.rig import Rig, until
from infra.native.layout import CHECKOUT
from infra.provision.schema import folders_of
from storage.migrate import apply

STARTED_WITHIN_SECONDS = 15.0
POOL_SIZES = (4, 8, 16, 32)
TRIAL_SECONDS = 0.5

BARE_ROUTE = "the route without a database"
BARE_TRANSACTION = "bare two-row transaction"
ONE_STATEMENT = "the same as one statement"

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
    """The same two rows by one statement."""
    await pool.execute(INSERT_BOTH, 7, 100, PAYLOAD)


async def transactions_per_second(pool: asyncpg.Pool, work: Transaction, seconds: float) -> float:
    """As many as the pool's connections can do."""
    began = time.monotonic()

    async def repeat() -> int:
        done = 0
        while time.monotonic() - began < seconds:
            await work(pool)
            done += 1
        return done

    counts = await asyncio.gather(*(repeat() for _ in range(pool.get_max_size())))
    return sum(counts) / (time.monotonic() - began)


async def measure(rig: Rig, customers: Sequence[int], seconds: float, runs: int, connections: int) -> Section:
    """Interleaved: each run measures all of them, so that their ratios are taken in one run."""
    found: dict[str, list[float]] = {}
    async with floor_server() as port, scratch_database(rig.settings.postgres_url.get_secret_value()) as url:
        size = await best_pool_size(url)
        async with asyncpg.create_pool(url, min_size=size, max_size=size) as pool:
            for _ in range(runs):
                run = {}
                async with stopped(rig, "bridge"):
                    run["POST /orders"] = await answered(rig.stack.port("order"), customers, connections, seconds)
                await rig.quiet()
                run[BARE_ROUTE] = await answered(port, customers, connections, seconds)
                run[BARE_TRANSACTION] = await transactions_per_second(pool, four_round_trips, seconds)
                run[ONE_STATEMENT] = await transactions_per_second(pool, one_round_trip, seconds)
                run["POST /orders, followed at once by all the rest"] = await answered(
                    rig.stack.port("order"), customers, connections, seconds
                )
                await rig.quiet()
                for name, rate in run.items():
                    found.setdefault(name, []).append(rate)
    return _section(found, size, connections)


def _section(found: dict[str, list[float]], size: int, connections: int) -> Section:
    section = Section("POST /orders alone, and its floors")
    posts = found["POST /orders"]
    for name, rates in found.items():
        section.add(name, "/s", *rates)
    for floor in (BARE_ROUTE, BARE_TRANSACTION, ONE_STATEMENT):
        ratios = (post / rate for post, rate in zip(posts, found[floor], strict=True))
        section.add(f"POST /orders : {floor}", "ratio", *ratios)
    section.notes.append(
        f"{connections} HTTP connections. Alone: the bridge is stopped, so nobody consumes what Debezium captures "
        f"meanwhile. The transactions are asyncpg's, over {size} connections (the best of "
        f"{', '.join(map(str, POOL_SIZES))}), into the same tables in a database of their own."
    )
    return section


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
    """The URL of a database with the order service's tables and nobody who reads them, dropped afterwards."""
    name = f"bench_{secrets.token_hex(4)}"
    url = urlunsplit(urlsplit(admin_url)._replace(path=f"/{name}"))
    admin = await asyncpg.connect(admin_url)
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        await apply(url, folders_of("order"))
        yield url
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@asynccontextmanager
async def floor_server() -> AsyncIterator[int]:
    """The port of a server that runs bench/floor_server.py in a process of its own."""
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
        await until(lambda: _is_open(port), STARTED_WITHIN_SECONDS)
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
