"""Poison messages on the whole data path: they become dead letters, can be redelivered, and block no other message."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from infra.native import Stack
from messaging.dead_letters import CONSUMER, ERROR, ORIGIN_IN_KAFKA, ORIGIN_SEQUENCE, ORIGIN_SUBJECT
from operations.dead_letters import DeadLetter
from services.bridge.translate import LARGEST_HEADERS, LARGEST_PAYLOAD
from tests.backdoor import Backdoor
from tests.checker import assert_converges
from tests.drivers import System
from tests.e2e.operator import Operator
from tests.eventually import eventually

ORDER = {"orderId": 10**15, "customerId": 10**15, "orderTotal": {"amount": 4}, "version": 1, "state": "PENDING"}


@pytest.fixture(scope="module")
def backdoor(stack: Stack) -> Backdoor:
    return Backdoor(stack)


@pytest.fixture
def letters(backdoor: Backdoor) -> Callable[[], list[DeadLetter]]:
    """The dead letters that were stored during the test."""
    before = {letter.sequence for letter in backdoor.dead_letters()}
    return lambda: [letter for letter in backdoor.dead_letters() if letter.sequence not in before]


@pytest.fixture
def bystander(system: System) -> Iterator[int]:
    """A customer whose orders are approved before and after the test."""
    customer = system.customers.create(limit=100)
    assert system.orders.settled(system.orders.place(customer, 1))["orderState"] == "APPROVED"
    yield customer
    # The credit of orders that the test has cancelled is released by an event.
    eventually(lambda: _has_credit(system, customer))
    assert system.orders.settled(system.orders.place(customer, 1))["orderState"] == "APPROVED"
    assert_converges(system, customer)


def _row(event_type: str, **payload: Any) -> Callable[[Backdoor], None]:
    return lambda backdoor: backdoor.append("order", event_type, json.dumps(payload))


def _record(value: bytes, **more_headers: str) -> Callable[[Backdoor], str]:
    headers = {"id": str(uuid4()), "type": "OrderCreated", **more_headers}
    return lambda backdoor: backdoor.produce("events.order", value, headers)


@dataclass(frozen=True)
class Poison:
    """A message that no consumer can read.

    Attributes:
        enter: brings it into the outbox, or into Kafka, where it returns its position.
        consumers: those that make it a dead letter.
        error: a part of their error.
    """

    enter: Callable[[Backdoor], str | None]
    consumers: set[str]
    error: str


OF_NO_SCHEMA = {name: value for name, value in ORDER.items() if name != "orderTotal"} | {"total": "4.00 EUR"}

POISONS = {
    "not JSON": Poison(_record(b'{"orderId": \xff'), {"customer", "history"}, "is not JSON"),
    "of an incompatible schema": Poison(
        _row("OrderCreated", **OF_NO_SCHEMA), {"customer", "history"}, "orderTotal: Field required"
    ),
    "too large": Poison(_record(b"1" * (2 * LARGEST_PAYLOAD + 1)), {"customer", "history"}, "the record has 2097153"),
    "of the largest size": Poison(_record(b"x" * LARGEST_PAYLOAD), {"customer", "history"}, "is not JSON"),
    "with too large headers": Poison(
        _record(b"{}", x="1" * LARGEST_HEADERS), {"customer", "history"}, "the record's headers have"
    ),
    "with headers of the largest size": Poison(
        _record(b"{}", x="1" * (LARGEST_HEADERS - 200)), {"customer", "history"}, "orderTotal: Field required"
    ),
}


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS.keys())
@pytest.mark.usefixtures("bystander")
def test_a_message_that_cannot_be_read_becomes_a_dead_letter_with_its_error_and_origin(
    backdoor: Backdoor, letters: Callable[[], list[DeadLetter]], poison: Poison
) -> None:
    position = poison.enter(backdoor)

    def are_dead_letters() -> list[DeadLetter]:
        found = letters()
        assert sorted(letter.headers[CONSUMER] for letter in found) == sorted(poison.consumers)
        return found

    for letter in eventually(are_dead_letters):
        assert poison.error in letter.headers[ERROR]
        subject, payload = backdoor.event(int(letter.headers[ORIGIN_SEQUENCE]))
        assert (letter.headers[ORIGIN_SUBJECT], letter.payload) == (subject, payload)
        assert letter.headers[ORIGIN_IN_KAFKA].startswith("events.order/")
        assert position in (None, letter.headers[ORIGIN_IN_KAFKA])


def test_an_event_of_a_type_that_nobody_knows_leaves_no_dead_letter_and_delays_nobody(
    backdoor: Backdoor, system: System, bystander: int, letters: Callable[[], list[DeadLetter]]
) -> None:
    shipped = system.orders.place(bystander, 1)
    system.orders.settled(shipped)
    payload = {**ORDER, "orderId": shipped, "customerId": bystander, "state": "SHIPPED", "version": 3}
    backdoor.append("order", "OrderShipped", json.dumps(payload), shipped)
    eventually(lambda: backdoor.last_event("events.order.*.OrderShipped"))
    behind = system.orders.place(bystander, 1)
    assert system.orders.settled(behind)["orderState"] == "APPROVED"
    assert_converges(system, bystander)
    eventually(lambda: _assert_nothing_is_left(backdoor))
    assert letters() == []


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize("transactional", [True, False])
def test_logical_messages_that_another_tool_writes_into_the_wal_do_not_stop_the_outbox(
    backdoor: Backdoor, transactional: bool
) -> None:
    """Once seen: the connector waited without end for a topic for such a message."""
    for service in ("customer", "order"):
        backdoor.execute(service, "SELECT pg_logical_emit_message($1, 'another tool', 'hello')", transactional)


def test_fields_that_a_newer_writer_adds_are_ignored_up_to_the_largest_event(
    backdoor: Backdoor, system: System, bystander: int, letters: Callable[[], list[DeadLetter]]
) -> None:
    order = _insert_order(backdoor, bystander, total=4)
    newer = {**ORDER, "orderId": order, "customerId": bystander, "lines": [{"sku": "x" * 65_000}], "schema": 2}
    backdoor.append("order", "OrderCreated", json.dumps(newer), order)
    assert system.orders.settled(order)["orderState"] == "APPROVED"
    assert_converges(system, bystander)
    assert letters() == []


@pytest.mark.usefixtures("bystander")
def test_the_outbox_refuses_an_event_that_kafka_would_refuse(backdoor: Backdoor) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="an_event_is_small"):
        backdoor.append("order", "OrderCreated", json.dumps("x" * 2**16))
    with pytest.raises(asyncpg.CheckViolationError, match="an_event_has_a_topic"):
        backdoor.execute(
            "order", "INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('x', 1, 'x', '1')"
        )


REFUSED_AMOUNT = 6_660
"""Cents. While the trigger is installed, the database refuses to reserve this amount."""

INSTALL_TRIGGER = f"""
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''this amount is refused''; END';
CREATE TRIGGER refuse BEFORE INSERT ON credit_reservations FOR EACH ROW
    WHEN (NEW.amount_cents = {REFUSED_AMOUNT} AND NEW.state = 'RESERVED') EXECUTE FUNCTION refuse();
"""
REMOVE_TRIGGER = "DROP TRIGGER IF EXISTS refuse ON credit_reservations; DROP FUNCTION IF EXISTS refuse"


@pytest.fixture
def remove_trigger(backdoor: Backdoor) -> Iterator[Callable[[], None]]:
    """Installs the trigger, and removes it after the test; returns how to remove it earlier."""
    backdoor.execute("customer", INSTALL_TRIGGER)
    yield lambda: backdoor.execute("customer", REMOVE_TRIGGER)
    backdoor.execute("customer", REMOVE_TRIGGER)


def test_a_redelivered_message_becomes_a_dead_letter_again_until_its_cause_is_gone_and_is_then_applied(
    backdoor: Backdoor,
    system: System,
    bystander: int,
    letters: Callable[[], list[DeadLetter]],
    remove_trigger: Callable[[], None],
) -> None:
    order = system.orders.place(bystander, REFUSED_AMOUNT / 100)
    later = system.orders.place(bystander, 1)
    assert system.orders.settled(later)["orderState"] == "APPROVED"
    [letter] = eventually(lambda: _exactly(1, letters()))
    assert system.orders.read(order)["orderState"] == "PENDING"
    _redeliver(backdoor.stack, letter)
    [again] = eventually(lambda: _exactly(1, letters()))
    assert (again.headers[CONSUMER], again.headers[ERROR]) == ("customer", "RaiseError: this amount is refused")
    assert again.headers[ORIGIN_IN_KAFKA] == letter.headers[ORIGIN_IN_KAFKA]
    remove_trigger()
    _redeliver(backdoor.stack, again)
    assert system.orders.settled(order)["orderState"] == "APPROVED"
    assert letters() == []


def test_a_cancellation_does_not_wait_for_the_orders_dead_letter_which_changes_nothing_when_it_is_redelivered(
    backdoor: Backdoor,
    system: System,
    bystander: int,
    letters: Callable[[], list[DeadLetter]],
    remove_trigger: Callable[[], None],
) -> None:
    order = system.orders.place(bystander, REFUSED_AMOUNT / 100)
    [letter] = eventually(lambda: _exactly(1, letters()))
    system.orders.cancel(order)
    eventually(lambda: _has_reservation(backdoor, order, "CANCELLED"))
    remove_trigger()
    _redeliver(backdoor.stack, letter)
    everything = system.orders.place(bystander, 99)  # behind the redelivered event on the same path
    assert system.orders.settled(everything)["orderState"] == "APPROVED"
    assert_converges(system, bystander)
    system.orders.cancel(everything)
    assert letters() == []


def test_an_event_about_an_order_that_is_not_visible_yet_is_retried_until_it_is(
    backdoor: Backdoor, system: System, bystander: int, letters: Callable[[], list[DeadLetter]]
) -> None:
    order = _announce_invisible_order(backdoor, bystander)
    eventually(lambda: _is_redelivered(backdoor))
    _insert_order(backdoor, bystander, total=4, order_id=order)
    assert system.orders.settled(order)["orderState"] == "APPROVED"
    assert letters() == []


def test_an_event_about_an_order_that_stays_invisible_becomes_a_dead_letter_and_is_applied_when_it_is_redelivered(
    backdoor: Backdoor, system: System, bystander: int, letters: Callable[[], list[DeadLetter]]
) -> None:
    order = _announce_invisible_order(backdoor, bystander)
    eventually(lambda: _is_redelivered(backdoor))
    meanwhile = system.orders.place(bystander, 1)
    assert system.orders.settled(meanwhile)["orderState"] == "APPROVED"
    [letter] = eventually(lambda: _exactly(1, letters()))
    assert letter.headers[CONSUMER] == "order"
    assert letter.headers[ERROR] == f"NotYetVisible: no order {order} is visible"
    _insert_order(backdoor, bystander, total=4, order_id=order)
    _redeliver(backdoor.stack, letter)
    assert system.orders.settled(order)["orderState"] == "APPROVED"
    assert letters() == []


NEXT_ID = "SELECT nextval(pg_get_serial_sequence('orders', 'id'))"
INSERT_ORDER = "INSERT INTO orders (id, customer_id, total_cents, state, version) VALUES ($1, $2, $3, 'PENDING', 1)"


def _announce_invisible_order(backdoor: Backdoor, customer: int) -> int:
    """Writes an OrderCreated for an order that has no row, as if the event had overtaken the row; returns its id."""
    order = int(backdoor.fetchval("order", NEXT_ID))
    backdoor.append("order", "OrderCreated", json.dumps({**ORDER, "orderId": order, "customerId": customer}), order)
    return order


def _insert_order(backdoor: Backdoor, customer: int, total: int, order_id: int | None = None) -> int:
    order = order_id or int(backdoor.fetchval("order", NEXT_ID))
    backdoor.execute("order", INSERT_ORDER, order, customer, total * 100)
    return order


def _assert_nothing_is_left(backdoor: Backdoor) -> None:
    assert not any(backdoor.backlog().values())


def _has_credit(system: System, customer: int) -> None:
    assert system.customers.available(customer) >= 1


def _has_reservation(backdoor: Backdoor, order: int, state: str) -> None:
    found = backdoor.fetchval("customer", "SELECT state FROM credit_reservations WHERE order_id = $1", order)
    assert found == state


def _is_redelivered(backdoor: Backdoor) -> None:
    assert backdoor.redelivered("order") == 1


def _exactly(count: int, letters: list[DeadLetter]) -> list[DeadLetter]:
    assert len(letters) == count, letters
    return letters


def _redeliver(stack: Stack, letter: DeadLetter) -> None:
    output = Operator(stack).succeed("dead-letters", "redeliver", str(letter.sequence))
    assert output.startswith(f"redelivered: {letter.sequence}  ")
