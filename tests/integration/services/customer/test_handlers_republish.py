"""Republished customers on a real PostgreSQL: each one's present state and version is sent once, whatever races."""

import asyncio
import json
from collections.abc import Mapping, Sequence

import asyncpg
import pytest

from services.customer.handlers import handle_order_events, republish
from services.customer.repository import Repository
from tests import builders
from tests.engines import migrate_database
from tests.eventually import eventually_async

BATCH = 3

WAITING_FOR_A_LOCK = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""

INSERT_CUSTOMER = """
INSERT INTO customers (id, name, credit_limit_cents, reserved_cents, version) VALUES ($1, $2, 1000, $3, $4)
"""


@pytest.fixture
async def repository(database: str, pool: asyncpg.Pool) -> Repository:
    await migrate_database(database, "customer")
    return Repository(pool)


async def _insert(pool: asyncpg.Pool, ids: Sequence[int]) -> None:
    """Customers with these ids, each with another name, reserved credit and version."""
    for position, customer_id in enumerate(ids):
        await pool.execute(INSERT_CUSTOMER, customer_id, f"Customer {position}", 100 * (position % 10), position + 1)


async def _sent(pool: asyncpg.Pool) -> list[tuple[str, Mapping[str, object]]]:
    """Type and payload of each outbox row, in the order in which they were written."""
    return [(row["type"], json.loads(row["payload"])) for row in await pool.fetch("TABLE outbox ORDER BY id")]


def _as_sent(customer_id: int, position: int) -> tuple[str, Mapping[str, object]]:
    return "CustomerCreated", {
        "customerId": customer_id,
        "name": f"Customer {position}",
        "creditLimit": {"amount": 10},
        "availableCredit": {"amount": 10 - position % 10},
        "version": position + 1,
    }


@pytest.mark.parametrize("count", [0, 1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH, 2 * BATCH + 1])
async def test_each_customer_is_sent_once_with_its_state_and_version_at_every_edge_of_a_batch(
    pool: asyncpg.Pool, repository: Repository, count: int
) -> None:
    ids = range(1, count + 1)
    await _insert(pool, ids)
    assert await republish(repository, BATCH) == count
    assert await _sent(pool) == [_as_sent(customer_id, position) for position, customer_id in enumerate(ids)]


async def test_ids_that_are_negative_or_far_apart_are_sent_once_each(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    ids = [-(2**63) + 1, -5, -1, 0, 3, 4, 10**12, 2**63 - 1]
    await _insert(pool, ids)
    assert await republish(repository, BATCH) == len(ids)
    assert await _sent(pool) == [_as_sent(customer_id, position) for position, customer_id in enumerate(ids)]


async def test_a_customer_that_is_locked_is_waited_for_and_sent_in_its_new_state(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    ids = range(1, 2 * BATCH + 1)
    await _insert(pool, ids)
    async with pool.acquire() as other, other.transaction():
        await other.execute("UPDATE customers SET reserved_cents = 1000, version = 99 WHERE id = 2")
        republishing = asyncio.create_task(republish(repository, BATCH))
        await eventually_async(lambda: _is_waiting_for_a_lock(pool))
    assert await republishing == len(ids)
    sent = [payload for _, payload in await _sent(pool)]
    assert [payload["customerId"] for payload in sent] == list(ids)
    assert (sent[1]["availableCredit"], sent[1]["version"]) == ({"amount": 0}, 99)


async def test_credit_decisions_that_race_with_republishing_leave_one_state_for_each_version(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    ids = range(1, 11)
    for customer_id in ids:
        await pool.execute(INSERT_CUSTOMER, customer_id, "Jane Doe", 0, 1)
    orders = [
        builders.envelope(builders.order_created(10 * customer_id + number, customer_id, total=100))
        for number in range(5)
        for customer_id in ids
    ]
    decisions = [handle_order_events(repository, orders[start : start + 5]) for start in range(0, len(orders), 5)]
    numbers, *_ = await asyncio.gather(asyncio.gather(*(republish(repository, BATCH) for _ in range(3))), *decisions)
    assert numbers == [len(ids)] * 3
    states = {
        (payload["customerId"], payload["version"], json.dumps(payload["availableCredit"]))
        for _, payload in await _sent(pool)
    }
    assert len({(customer_id, version) for customer_id, version, _ in states}) == len(states)
    stored = await pool.fetch("SELECT id, version, reserved_cents FROM customers")
    assert {tuple(row)[1:] for row in stored} == {(6, 500)}
    assert {(row["id"], row["version"], json.dumps({"amount": 5})) for row in stored} <= states


async def _is_waiting_for_a_lock(pool: asyncpg.Pool) -> None:
    assert await pool.fetchval(WAITING_FOR_A_LOCK) >= 1
