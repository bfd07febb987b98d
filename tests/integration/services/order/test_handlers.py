"""Decisions about orders on a real PostgreSQL: each order is decided once, also by concurrent transactions."""

import asyncio
from collections import Counter
from datetime import timedelta

import asyncpg
import pytest

from contracts.money import PositiveMoney
from messaging.errors import NotYetVisible, UnknownEventType
from services.order.domain import NotCancellable, OrderState
from services.order.handlers import (
    Placement,
    cancel_order,
    create_orders,
    handle_credit_decisions,
    reject_overdue_orders,
)
from services.order.repository import Repository
from services.order.requests import CreateOrder
from services.order.waiting import Waiting
from tests import builders
from tests.engines import migrate_database


@pytest.fixture
async def repository(database: str, pool: asyncpg.Pool) -> Repository:
    await migrate_database(database, "order")
    return Repository(pool)


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


async def _place(repository: Repository) -> int:
    [order] = await create_orders(
        repository, [Placement(CreateOrder(customer_id=7, order_total=PositiveMoney.of(1_234)))]
    )
    assert isinstance(order, int)
    return order


async def _state(repository: Repository, order_id: int) -> OrderState:
    order = await repository.find_order(order_id)
    assert order is not None
    return order.state


async def _sent(pool: asyncpg.Pool) -> Counter[str]:
    rows = await pool.fetch("SELECT type FROM outbox WHERE type <> 'OrderCreated'")
    return Counter(row["type"] for row in rows)


async def test_a_batch_with_a_decision_about_an_order_that_is_not_visible_changes_nothing(
    repository: Repository, waiting: Waiting
) -> None:
    seen = await _place(repository)
    decisions = [builders.envelope(builders.credit_reserved(order)) for order in (seen, seen + 1)]
    with pytest.raises(NotYetVisible, match=str(seen + 1)):
        await handle_credit_decisions(repository, waiting, decisions)
    assert await _state(repository, seen) is OrderState.PENDING


async def test_an_order_is_decided_once_by_repeated_and_concurrent_batches(
    pool: asyncpg.Pool, repository: Repository, waiting: Waiting
) -> None:
    orders = [await _place(repository) for _ in range(20)]
    batch = [builders.envelope(builders.credit_reserved(order)) for order in orders]
    await asyncio.gather(*(handle_credit_decisions(repository, waiting, batch + batch) for _ in range(5)))
    assert await _sent(pool) == {"OrderApproved": 20}


async def test_the_events_of_a_batch_carry_the_traces_of_their_own_causes(
    pool: asyncpg.Pool, repository: Repository, waiting: Waiting
) -> None:
    traces = {await _place(repository): trace for trace in (builders.traceparent(1), None, builders.traceparent(2))}
    batch = [builders.envelope(builders.credit_reserved(order), trace) for order, trace in traces.items()]
    await handle_credit_decisions(repository, waiting, batch)
    rows = await pool.fetch("SELECT aggregateid, traceparent FROM outbox WHERE type = 'OrderApproved'")
    assert {int(row["aggregateid"]): row["traceparent"] for row in rows} == traces


async def test_the_first_of_two_contradicting_decisions_counts(
    pool: asyncpg.Pool, repository: Repository, waiting: Waiting
) -> None:
    order = await _place(repository)
    decisions = [builders.credit_limit_exceeded(order), builders.credit_reserved(order)]
    await handle_credit_decisions(repository, waiting, [builders.envelope(decision) for decision in decisions])
    assert await _state(repository, order) is OrderState.REJECTED
    assert await _sent(pool) == {"OrderRejected": 1}


async def test_a_cancellation_that_races_with_the_approval_always_wins_in_the_end(
    pool: asyncpg.Pool, repository: Repository, waiting: Waiting
) -> None:
    orders = [await _place(repository) for _ in range(40)]
    approvals = (
        handle_credit_decisions(repository, waiting, [builders.envelope(builders.credit_reserved(order))])
        for order in orders
    )
    cancellations = (cancel_order(repository, waiting, order, None) for order in orders)
    await asyncio.gather(*approvals, *cancellations)
    assert {await _state(repository, order) for order in orders} == {OrderState.CANCELLED}
    sent = await _sent(pool)
    assert sent["OrderCancelled"] == 40
    versions = await pool.fetch("SELECT version FROM orders")
    assert sum(row["version"] - 1 for row in versions) == sent.total()


async def test_a_cancellation_that_races_with_the_rejection_ends_in_one_of_both(
    pool: asyncpg.Pool, repository: Repository, waiting: Waiting
) -> None:
    orders = [await _place(repository) for _ in range(40)]
    rejections = (
        handle_credit_decisions(repository, waiting, [builders.envelope(builders.credit_limit_exceeded(order))])
        for order in orders
    )
    cancellations = (cancel_order(repository, waiting, order, None) for order in orders)
    outcomes = await asyncio.gather(*rejections, *cancellations, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert all(isinstance(error, NotCancellable) for error in refused)
    assert await _sent(pool) == Counter(OrderRejected=len(refused), OrderCancelled=40 - len(refused))


async def test_many_cancellations_at_once_are_one(pool: asyncpg.Pool, repository: Repository, waiting: Waiting) -> None:
    order = await _place(repository)
    answers = await asyncio.gather(*(cancel_order(repository, waiting, order, None) for _ in range(10)))
    assert {answer.state for answer in answers if answer} == {OrderState.CANCELLED}
    assert await _sent(pool) == {"OrderCancelled": 1}


async def test_cancelling_an_unknown_order_changes_nothing(repository: Repository, waiting: Waiting) -> None:
    assert await cancel_order(repository, waiting, 1, None) is None


async def test_a_decision_is_announced_to_requests_that_wait_for_the_order(
    repository: Repository, waiting: Waiting
) -> None:
    order = await _place(repository)
    answer = asyncio.create_task(waiting.until_settled(repository.find_order, order, 3_600.0))
    await handle_credit_decisions(repository, waiting, [builders.envelope(builders.credit_reserved(order))])
    settled = await answer
    assert settled is not None
    assert settled.state is OrderState.APPROVED


async def test_an_event_type_that_is_not_registered_is_told_apart(repository: Repository, waiting: Waiting) -> None:
    with pytest.raises(UnknownEventType, match="OrderCreated"):
        await handle_credit_decisions(repository, waiting, [builders.envelope(builders.order_created())])


async def test_orders_that_are_pending_for_longer_than_the_deadline_are_rejected_and_the_others_are_not(
    pool: asyncpg.Pool, repository: Repository, waiting: Waiting
) -> None:
    overdue, recent = [await _place(repository) for _ in range(7)], await _place(repository)
    await handle_credit_decisions(repository, waiting, [builders.envelope(builders.credit_reserved(overdue[0]))])
    await pool.execute("UPDATE orders SET created_at = now() - interval '2 hours' WHERE id = ANY($1)", overdue)
    batches = [await reject_overdue_orders(repository, waiting, timedelta(hours=1), batch=4) for _ in range(3)]
    assert batches == [4, 2, 0]
    states = [await _state(repository, order) for order in [*overdue, recent]]
    assert states == [OrderState.APPROVED, *[OrderState.REJECTED] * 6, OrderState.PENDING]
    assert await _sent(pool) == {"OrderApproved": 1, "OrderRejected": 6}
