"""Statements and events of each use case: a batch takes one statement of each kind, however many events it has."""

import json

import pytest

from contracts.money import Money
from services.customer.domain import ReservationState
from services.customer.handlers import create_customer, handle_order_events, republish
from services.customer.requests import CreateCustomer
from storage.idempotency import KeyExpired, KeyReused
from tests import builders
from tests.unit.services.customer.ports import FakeCustomers

JANE = CreateCustomer(name="Jane Doe", credit_limit=Money.of(500))


async def test_a_new_customer_is_stored_and_its_event_carries_the_trace_of_its_request() -> None:
    customers = FakeCustomers()
    assert await create_customer(customers, JANE, None, builders.TRACEPARENT) == 1
    assert customers.statements == ["begin", "insert_customer", "append"]
    [row] = customers.outbox
    assert (row.aggregate_type, row.aggregate_id, row.type) == ("customer", "1", "CustomerCreated")
    assert row.traceparent == builders.TRACEPARENT
    assert json.loads(row.payload)["creditLimit"] == {"amount": 5}


async def test_a_customer_with_a_key_is_stored_with_its_answer_in_one_transaction() -> None:
    customers = FakeCustomers()
    await create_customer(customers, JANE, "key", None)
    assert customers.statements == ["begin", "claim", "insert_customer", "append", "store"]
    assert customers.keys["key"].answer == 1


async def test_a_used_key_is_answered_with_its_own_customer_and_stores_nothing() -> None:
    customers = FakeCustomers()
    first = [await create_customer(customers, JANE, key, None) for key in ("a", "b")]
    customers.statements.clear()
    assert [await create_customer(customers, JANE, key, None) for key in ("b", "a")] == [first[1], first[0]]
    assert customers.statements == ["begin", "claim", "stored_answers"] * 2


async def test_a_used_key_is_refused_for_another_customer_and_an_expired_one_may_be_tried_again() -> None:
    customers = FakeCustomers()
    await create_customer(customers, JANE, "used", None)
    customers.expired = {"expired"}
    with pytest.raises(KeyReused):
        await create_customer(customers, JANE.model_copy(update={"name": "John Doe"}), "used", None)
    with pytest.raises(KeyExpired):
        await create_customer(customers, JANE, "expired", None)
    assert len(customers.customers) == 1


async def test_an_order_that_is_cancelled_in_its_own_batch_is_inserted_as_released() -> None:
    customers = FakeCustomers(builders.customer(customer_id=7))
    events = [builders.order_created(1, total=100), builders.order_cancelled(1, total=100)]
    await handle_order_events(customers, [builders.envelope(event) for event in events])
    assert "release_reservations" not in customers.statements
    assert customers.reservations[1].state is ReservationState.RELEASED
    assert customers.customers[7].reserved == 0


async def test_an_order_that_was_reserved_before_is_released_by_an_update() -> None:
    customers = FakeCustomers(builders.customer(customer_id=7))
    await handle_order_events(customers, [builders.envelope(builders.order_created(1, total=100))])
    customers.statements.clear()
    await handle_order_events(customers, [builders.envelope(builders.order_rejected(1, total=100))])
    assert "insert_reservations" not in customers.statements
    assert "release_reservations" in customers.statements
    assert customers.reservations[1].state is ReservationState.RELEASED
    assert customers.customers[7].reserved == 0


async def test_a_batch_that_changes_nothing_writes_nothing() -> None:
    customers = FakeCustomers(builders.customer(customer_id=7))
    batch = [builders.envelope(builders.order_created(1, total=100))]
    await handle_order_events(customers, batch)
    customers.statements.clear()
    await handle_order_events(customers, batch)
    assert customers.statements == ["begin", "lock_customers", "find_reservations", "append"]
    assert len(customers.outbox) == 1


async def test_a_batch_of_orders_is_one_lock_one_look_and_one_write_of_each_kind() -> None:
    customers = FakeCustomers(*(builders.customer(customer_id=number) for number in (1, 2)))
    batch = [builders.envelope(builders.order_created(n, customer_id=n % 2 + 1, total=100)) for n in range(1, 41)]
    await handle_order_events(customers, batch)
    assert customers.statements == [
        "begin",
        "lock_customers",
        "find_reservations",
        "store_customers",
        "insert_reservations",
        "append",
    ]
    assert [customers.customers[number].reserved for number in (1, 2)] == [2_000, 2_000]
    assert len(customers.outbox) == 40


async def test_the_events_of_a_batch_carry_the_traces_of_their_own_causes() -> None:
    customers = FakeCustomers(builders.customer(customer_id=1))
    traces = [builders.traceparent(1), None, builders.traceparent(2)]
    created = [builders.order_created(number, customer_id=1, total=100) for number in (1, 2, 3)]
    await handle_order_events(customers, [builders.envelope(*pair) for pair in zip(created, traces, strict=True)])
    assert [row.traceparent for row in customers.outbox] == traces


async def test_the_present_state_of_every_customer_is_sent_again_in_batches() -> None:
    customers = FakeCustomers(*(builders.customer(customer_id=number) for number in range(1, 6)))
    assert await republish(customers, batch=2) == 5
    assert [row.aggregate_id for row in customers.outbox] == ["1", "2", "3", "4", "5"]
    assert customers.statements == ["begin", "lock_next_customers", "append"] * 4  # the last one finds no more rows


async def test_a_republished_state_is_that_of_the_customer_with_its_version_and_without_a_trace() -> None:
    customers = FakeCustomers(builders.customer(limit=10_000, reserved=4_000, version=5, customer_id=7))
    await republish(customers)
    [row] = customers.outbox
    assert (row.type, row.traceparent) == ("CustomerCreated", None)
    assert json.loads(row.payload) == {
        "customerId": 7,
        "name": "Jane Doe",
        "creditLimit": {"amount": 100},
        "availableCredit": {"amount": 60},
        "version": 5,
    }
