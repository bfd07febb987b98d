"""Republished orders on a real PostgreSQL: each order's present state and version is sent once, whatever races."""

import asyncio
import json
from collections.abc import Mapping, Sequence

import asyncpg
import pytest

from services.order.handlers import cancel_order, handle_credit_decisions, republish
from services.order.repository import Repository
from services.order.waiting import Waiting
from tests import builders
from tests.engines import migrate_database
from tests.eventually import eventually_async

BATCH = 3

WAITING_FOR_A_LOCK = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""

INSERT_ORDER = """
INSERT INTO orders (id, customer_id, total_cents, state, rejection_reason, version) VALUES ($1, 7, 1234, $2, $3, $4)
"""

STATES: Sequence[tuple[str, str | None, int, str]] = (
    ("PENDING", None, 1, "OrderCreated"),
    ("APPROVED", None, 2, "OrderApproved"),
    ("REJECTED", "TIMED_OUT", 2, "OrderRejected"),
    ("CANCELLED", None, 3, "OrderCancelled"),
)
"""State, rejection reason and version of an order, and the event type that it is sent as."""


@pytest.fixture
async def repository(database: str, pool: asyncpg.Pool) -> Repository:
    await migrate_database(database, "order")
    return Repository(pool)


async def _insert(pool: asyncpg.Pool, ids: Sequence[int]) -> None:
    """Orders with these ids, in all states by turns."""
    for position, order_id in enumerate(ids):
        state, reason, version, _ = STATES[position % len(STATES)]
        await pool.execute(INSERT_ORDER, order_id, state, reason, version)


async def _sent(pool: asyncpg.Pool) -> list[tuple[str, Mapping[str, object]]]:
    """Type and payload of each outbox row, in the order in which they were written."""
    return [(row["type"], json.loads(row["payload"])) for row in await pool.fetch("TABLE outbox ORDER BY id")]


def _as_sent(order_id: int, position: int) -> tuple[str, Mapping[str, object]]:
    state, reason, version, event_type = STATES[position % len(STATES)]
    payload = {"orderId": order_id, "customerId": 7, "orderTotal": {"amount": 12.34}, "version": version}
    return event_type, payload | {"state": state} | ({"rejectionReason": reason} if reason else {})


@pytest.mark.parametrize("count", [0, 1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH, 2 * BATCH + 1])
async def test_each_order_is_sent_once_with_its_state_and_version_at_every_edge_of_a_batch(
    pool: asyncpg.Pool, repository: Repository, count: int
) -> None:
    ids = range(1, count + 1)
    await _insert(pool, ids)
    assert await republish(repository, BATCH) == count
    assert await _sent(pool) == [_as_sent(order_id, position) for position, order_id in enumerate(ids)]


async def test_ids_that_are_negative_or_far_apart_are_sent_once_each(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    ids = [-(2**63) + 1, -5, -1, 0, 3, 4, 10**12, 2**63 - 1]
    await _insert(pool, ids)
    assert await republish(repository, BATCH) == len(ids)
    assert await _sent(pool) == [_as_sent(order_id, position) for position, order_id in enumerate(ids)]


async def test_a_republished_event_has_the_key_of_its_order_and_no_trace(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    await _insert(pool, [42])
    await republish(repository, BATCH)
    [row] = await pool.fetch("SELECT aggregatetype, aggregateid, traceparent FROM outbox")
    assert tuple(row) == ("order", "42", None)


async def test_an_order_that_is_locked_is_waited_for_and_sent_in_its_new_state(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    ids = range(1, 2 * BATCH + 1)
    await _insert(pool, ids)
    async with pool.acquire() as other, other.transaction():
        await other.execute("UPDATE orders SET state = 'CANCELLED', rejection_reason = NULL, version = 9 WHERE id = 2")
        republishing = asyncio.create_task(republish(repository, BATCH))
        await eventually_async(lambda: _is_waiting_for_a_lock(pool))
    assert await republishing == len(ids)
    sent = [payload for _, payload in await _sent(pool)]
    assert [payload["orderId"] for payload in sent] == list(ids)
    assert (sent[1]["state"], sent[1]["version"]) == ("CANCELLED", 9)


async def test_an_order_does_not_change_before_its_republished_state_is_committed(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    await _insert(pool, [1, 2])
    async with repository.transaction() as transaction:
        await transaction.lock_next_orders(0, BATCH)
        cancelling = asyncio.create_task(cancel_order(repository, Waiting(), 2, None))
        await eventually_async(lambda: _is_waiting_for_a_lock(pool))
        assert not cancelling.done()
    cancelled = await cancelling
    assert cancelled is not None
    assert cancelled.version == 3


async def test_decisions_and_cancellations_that_race_with_republishing_are_all_sent(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    waiting = Waiting()
    ids = range(1, 41)
    for order_id in ids:
        await pool.execute(INSERT_ORDER, order_id, "PENDING", None, 1)
    approvals = [
        handle_credit_decisions(repository, waiting, [builders.envelope(builders.credit_reserved(order_id))])
        for order_id in ids
    ]
    cancellations = [cancel_order(repository, waiting, order_id, None) for order_id in ids if order_id % 2]
    numbers, *_ = await asyncio.gather(
        asyncio.gather(*(republish(repository, BATCH) for _ in range(3))), *approvals, *cancellations
    )
    assert numbers == [len(ids)] * 3
    sent = {(payload["orderId"], payload["version"], payload["state"]) for _, payload in await _sent(pool)}
    stored = {tuple(row) for row in await pool.fetch("SELECT id, version, state FROM orders")}
    assert {state for _, _, state in stored} == {"APPROVED", "CANCELLED"}
    assert stored <= sent
    # One version of an order is one state: no event tells of a state that another transaction has overwritten.
    assert len({(order_id, version) for order_id, version, _ in sent}) == len(sent)


async def _is_waiting_for_a_lock(pool: asyncpg.Pool) -> None:
    assert await pool.fetchval(WAITING_FOR_A_LOCK) >= 1
