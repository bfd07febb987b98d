"""How many statements a group or a batch takes: one of each kind, however many requests or events it has."""

from collections.abc import Sequence

from contracts.money import PositiveMoney
from services.order.domain import OrderState
from services.order.handlers import Placement, create_orders, handle_credit_decisions, republish
from services.order.requests import CreateOrder
from services.order.waiting import Waiting
from storage.idempotency import KeyExpired, KeyReused
from tests import builders
from tests.unit.services.order.ports import FakeOrders


def _placements(*keys: str | None) -> list[Placement]:
    command = CreateOrder(customer_id=7, order_total=PositiveMoney.of(100))
    return [Placement(command, key=key) for key in keys]


async def _place(orders: FakeOrders, *keys: str | None) -> Sequence[int | Exception]:
    orders.statements.clear()
    return await create_orders(orders, _placements(*keys))


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
    assert orders.statements == ["begin", "lock_next_orders", "append"] * 4  # the last one finds no more rows
