"""Statements, events and answers of each use case: a group or a batch takes one statement of each kind."""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta

import pytest

from contracts.money import PositiveMoney
from messaging.errors import NotYetVisible
from services.order.domain import NotCancellable, Order, OrderState, RejectionReason
from services.order.handlers import (
    Placement,
    cancel_order,
    create_orders,
    handle_credit_decisions,
    reject_overdue_orders,
    republish,
)
from services.order.ports import NewOrder
from services.order.requests import CreateOrder
from services.order.waiting import Waiting
from storage.idempotency import KeyBusy, KeyExpired, KeyReused, fingerprint
from tests import builders
from tests.unit.services.order.ports import FakeOrders


def _placements(*keys: str | None) -> list[Placement]:
    command = CreateOrder(customer_id=7, order_total=PositiveMoney.of(100))
    return [Placement(command, key=key) for key in keys]


async def _place(orders: FakeOrders, *keys: str | None) -> Sequence[int | Exception]:
    orders.statements.clear()
    return await create_orders(orders, _placements(*keys))


def _placement(customer_id: int, key: str | None = None, traceparent: str | None = None) -> Placement:
    command = CreateOrder(customer_id=customer_id, order_total=PositiveMoney.of(customer_id))
    return Placement(command, traceparent, key)


class Announced(Waiting):
    """Writes down which orders were announced, and how many statements there were before.

    A request that waits learns of an order only after its commit: the announcement has to be the last step.
    """

    def __init__(self, orders: FakeOrders) -> None:
        super().__init__()
        self._orders = orders
        self.announced: list[Order] = []
        self.statements_before: list[int] = []

    def announce(self, orders: Iterable[Order]) -> None:
        self.announced += orders
        self.statements_before.append(len(self._orders.statements))


def test_a_request_without_a_key_has_no_fingerprint_and_one_with_a_key_that_of_its_body() -> None:
    command = CreateOrder(customer_id=7, order_total=PositiveMoney.of(100))
    assert Placement(command).new_order() == NewOrder(7, 100, None, b"")
    assert Placement(command, key="a").new_order() == NewOrder(7, 100, "a", fingerprint(command))


async def test_a_database_that_answers_for_another_number_of_orders_is_not_believed() -> None:
    class Broken(FakeOrders):
        async def insert_orders(self, orders: Sequence[NewOrder]) -> list[int | None]:
            return (await super().insert_orders(orders))[1:]

    with pytest.raises(ValueError, match="shorter"):
        await create_orders(Broken(), _placements(None, None))


async def test_each_request_of_a_group_is_answered_with_its_own_order_and_told_of_with_its_own_trace() -> None:
    orders = FakeOrders()
    group = [_placement(n, "key" if n == 2 else None, builders.traceparent(n)) for n in (3, 2, 1)]
    ids = await create_orders(orders, group)
    assert [(orders.orders[i].customer_id, orders.orders[i].total) for i in ids if isinstance(i, int)] == [
        (3, 3),
        (2, 2),
        (1, 1),
    ]
    told = [(int(row.aggregate_id), json.loads(row.payload)["customerId"], row.traceparent) for row in orders.outbox]
    assert told == [(i, n, builders.traceparent(n)) for i, n in zip(ids, (3, 2, 1), strict=True)]


async def test_each_key_is_answered_with_its_own_order_whatever_else_is_in_the_group() -> None:
    orders = FakeOrders()
    first = {key: (await create_orders(orders, [_placement(7, key)]))[0] for key in ("a", "b", "c")}
    again = await create_orders(orders, [_placement(7, key) for key in ("c", "a", "b")])
    assert again == [first["c"], first["a"], first["b"]]
    assert len(orders.outbox) == 3


async def test_a_cancellation_is_stored_told_with_its_trace_and_announced() -> None:
    orders = FakeOrders(builders.order(OrderState.APPROVED, order_id=1))
    waiting = Announced(orders)
    cancelled = await cancel_order(orders, waiting, 1, builders.TRACEPARENT)
    assert cancelled == orders.orders[1] == builders.order(OrderState.CANCELLED, version=2, order_id=1)
    assert [(row.type, row.aggregate_id, row.traceparent) for row in orders.outbox] == [
        ("OrderCancelled", "1", builders.TRACEPARENT)
    ]
    assert waiting.announced == [cancelled]
    assert waiting.statements_before == [len(orders.statements)]


async def test_cancelling_what_is_unknown_cancelled_or_rejected_writes_nothing() -> None:
    cancelled = builders.order(OrderState.CANCELLED, order_id=1)
    orders = FakeOrders(cancelled, builders.order(OrderState.REJECTED, order_id=2))
    waiting = Announced(orders)
    assert await cancel_order(orders, waiting, 9, None) is None
    assert await cancel_order(orders, waiting, 1, None) == cancelled
    with pytest.raises(NotCancellable, match="order 2 was rejected and cannot be cancelled"):
        await cancel_order(orders, waiting, 2, None)
    assert orders.statements == ["begin", "lock_orders"] * 3
    assert waiting.announced == []


async def test_each_order_of_a_batch_of_decisions_is_told_with_its_own_trace_and_announced() -> None:
    orders = FakeOrders(*(builders.order(order_id=number) for number in (1, 2)))
    waiting = Announced(orders)
    decisions = [builders.credit_limit_exceeded(2), builders.credit_reserved(1)]
    traces = [builders.traceparent(2), None]
    batch = [builders.envelope(*pair) for pair in zip(decisions, traces, strict=True)]
    await handle_credit_decisions(orders, waiting, batch)
    assert [(row.type, row.aggregate_id, row.traceparent) for row in orders.outbox] == [
        ("OrderRejected", "2", traces[0]),
        ("OrderApproved", "1", None),
    ]
    assert [(order.id, order.state) for order in waiting.announced] == [(2, "REJECTED"), (1, "APPROVED")]
    assert waiting.statements_before == [len(orders.statements)]


async def test_the_second_decision_on_an_order_of_a_batch_changes_nothing() -> None:
    orders = FakeOrders(builders.order(order_id=1))
    decisions = [builders.credit_limit_exceeded(1), builders.credit_reserved(1)]
    await handle_credit_decisions(orders, Waiting(), [builders.envelope(decision) for decision in decisions])
    assert orders.orders[1].state is OrderState.REJECTED
    assert [row.type for row in orders.outbox] == ["OrderRejected"]


async def test_a_batch_with_decisions_on_unseen_orders_names_ten_of_them_and_writes_nothing() -> None:
    orders = FakeOrders(builders.order(order_id=5))
    batch = [builders.envelope(builders.credit_reserved(number)) for number in (*range(20, 0, -1), 20)]
    with pytest.raises(NotYetVisible) as raised:
        await handle_credit_decisions(orders, Waiting(), batch)
    assert str(raised.value) == "no order 1, 2, 3, 4, 6, 7, 8, 9, 10, 11 is visible"
    assert orders.statements == ["begin", "lock_orders"]


async def test_overdue_orders_are_rejected_told_without_a_trace_and_announced() -> None:
    orders = FakeOrders(*(builders.order(order_id=number) for number in (1, 2, 3)))
    waiting = Announced(orders)
    assert await reject_overdue_orders(orders, waiting, timedelta(seconds=9), batch=2) == 2
    assert orders.deadlines == [timedelta(seconds=9)]
    assert [(row.type, row.aggregate_id, row.traceparent) for row in orders.outbox] == [
        ("OrderRejected", "1", None),
        ("OrderRejected", "2", None),
    ]
    assert [(order.id, order.rejection_reason) for order in waiting.announced] == [
        (1, RejectionReason.TIMED_OUT),
        (2, RejectionReason.TIMED_OUT),
    ]
    assert waiting.statements_before == [len(orders.statements)]


async def test_without_an_overdue_order_nothing_is_written() -> None:
    orders = FakeOrders(builders.order(OrderState.APPROVED, order_id=1))
    assert await reject_overdue_orders(orders, Waiting(), timedelta(seconds=9)) == 0
    assert orders.statements == ["begin", "lock_overdue_orders"]


async def test_a_group_of_new_orders_with_and_without_keys_is_one_insert_and_one_append() -> None:
    orders = FakeOrders()
    assert await _place(orders, None, "a", None, "b", "a") == [1, 2, 3, 4, 2]
    assert orders.statements == ["begin", "insert_orders", "append"]


async def test_stored_answers_are_read_once_for_all_used_keys_of_a_group() -> None:
    orders = FakeOrders()
    await _place(orders, "a", "b")
    assert await _place(orders, "b", None, "a", "c") == [2, 3, 1, 4]
    assert orders.statements == ["begin", "insert_orders", "append", "stored_answers"]


async def test_an_error_of_one_key_is_the_outcome_of_its_own_requests_only() -> None:
    orders = FakeOrders()
    await _place(orders, "used")
    other = Placement(CreateOrder(customer_id=8, order_total=PositiveMoney.of(100)), key="used")
    orders.expired = {"expired"}
    outcomes = await create_orders(orders, [other, *_placements("expired", None, "used")])
    assert [type(outcome) for outcome in outcomes] == [KeyReused, KeyExpired, int, int]
    assert outcomes[2:] == [2, 1]


async def test_the_events_of_a_group_are_appended_in_the_order_of_its_requests() -> None:
    orders = FakeOrders()
    await _place(orders, None, "a", None)
    assert [(row.aggregate_id, row.type) for row in orders.outbox] == [(str(n), "OrderCreated") for n in (1, 2, 3)]


async def test_a_batch_of_decisions_is_one_lock_one_update_and_one_append() -> None:
    orders = FakeOrders(*(builders.order(order_id=number) for number in range(1, 51)))
    batch = [builders.envelope(builders.credit_reserved(number)) for number in range(1, 51)]
    await handle_credit_decisions(orders, Waiting(), batch)
    assert orders.statements == ["begin", "lock_orders", "store_orders", "append"]
    assert {order.state for order in orders.orders.values()} == {OrderState.APPROVED}


async def test_a_batch_that_changes_nothing_writes_nothing() -> None:
    orders = FakeOrders(builders.order(OrderState.APPROVED, order_id=1))
    await handle_credit_decisions(orders, Waiting(), [builders.envelope(builders.credit_reserved(1))])
    assert orders.statements == ["begin", "lock_orders"]


async def test_the_present_state_of_every_order_is_sent_again_in_batches() -> None:
    orders = FakeOrders(*(builders.order(order_id=number) for number in range(1, 6)))
    assert await republish(orders, batch=2) == 5
    assert [row.aggregate_id for row in orders.outbox] == ["1", "2", "3", "4", "5"]
    assert {row.traceparent for row in orders.outbox} == {None}
    assert orders.statements == ["begin", "lock_next_orders", "append"] * 4  # the last one finds no more rows


async def test_a_key_that_another_transaction_holds_fails_its_own_requests_only() -> None:
    orders = FakeOrders()
    orders.busy = {"busy"}
    outcomes = await create_orders(orders, _placements(None, "busy", "a", None, "busy", "a"))
    assert [type(outcome) for outcome in outcomes] == [int, KeyBusy, int, int, KeyBusy, int]
    assert outcomes[2] == outcomes[5]
    assert len(orders.orders) == 3
    assert [row.aggregate_id for row in orders.outbox] == ["1", "2", "3"]
