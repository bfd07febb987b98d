"""Poison messages on the whole data path: they become dead letters, can be redelivered, and block no other message."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from click.testing import CliRunner

from infra.native import Stack
from messaging.dead_letters import CONSUMER, ERROR, ORIGIN_IN_KAFKA, ORIGIN_SEQUENCE, ORIGIN_SUBJECT
from operations.__main__ import saga
from operations.dead_letters import DeadLetter
from services.bridge.translate import LARGEST_HEADERS, LARGEST_PAYLOAD
from tests.backdoor import Backdoor
from tests.checker import assert_converges
from tests.drivers import System
from tests.eventually import eventually

ORDER = {"orderId": 10**15, "customerId": 10**15, "orderTotal": {"amount": 4}, "version": 1, "state": "PENDING"}


@pytest.fixture(scope="module")
def backdoor(stack: Stack) -> Backdoor:
    return Backdoor(stack)


@pytest.fixture
def letters(backdoor: Backdoor) -> Callable[[], list[DeadLetter]]:
    """The dead letters that came during the test."""
    before = {letter.sequence for letter in backdoor.dead_letters()}
    return lambda: [letter for letter in backdoor.dead_letters() if letter.sequence not in before]


@pytest.fixture
def bystander(system: System) -> Iterator[int]:
    """A customer whose orders go on being approved, before and after what the test does."""
    customer = system.customers.create(limit=100)
    assert system.orders.settled(system.orders.place(customer, 1))["orderState"] == "APPROVED"
    yield customer
    # Waits for what the test has cancelled to be given back.
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
    """A message, how it enters, and who gives it up with which error."""

    enter: Callable[[Backdoor], str | None]
    given_up_by: set[str]
    error: str


OF_NO_SCHEMA = {name: value for name, value in ORDER.items() if name != "orderTotal"} | {"total": "4.00 EUR"}

POISONS = {
    "not JSON": Poison(_record(b'{"orderId": \xff'), {"customer", "history"}, "is not JSON"),
    "of an unknown type": Poison(_row("OrderShipped", **ORDER), {"history"}, "OrderShipped is not an event type"),
    "of an incompatible schema": Poison(
        _row("OrderCreated", **OF_NO_SCHEMA), {"customer", "history"}, "orderTotal: Field required"
    ),
    "too large": Poison(_record(b"1" * (2 * LARGEST_PAYLOAD + 1)), {"customer", "history"}, "the record has 2097153"),
    "as large as can be": Poison(_record(b"x" * LARGEST_PAYLOAD), {"customer", "history"}, "is not JSON"),
    "with too large headers": Poison(
        _record(b"{}", x="1" * LARGEST_HEADERS), {"customer", "history"}, "the record's headers have"
    ),
    "with headers as large as can be": Poison(
        _record(b"{}", x="1" * (LARGEST_HEADERS - 200)), {"customer", "history"}, "orderTotal: Field required"
    ),
}


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS.keys())
@pytest.mark.usefixtures("bystander")
def test_a_message_that_cannot_be_handled_ends_as_a_dead_letter_with_error_and_origin(
    backdoor: Backdoor, letters: Callable[[], list[DeadLetter]], poison: Poison
) -> None:
    position = poison.enter(backdoor)

    def given_up() -> list[DeadLetter]:
        found = letters()
        assert sorted(letter.headers[CONSUMER] for letter in found) == sorted(poison.given_up_by)
        return found

    for letter in eventually(given_up):
        assert poison.error in letter.headers[ERROR]
        subject, payload = backdoor.event(int(letter.headers[ORIGIN_SEQUENCE]))
        assert (letter.headers[ORIGIN_SUBJECT], letter.payload) == (subject, payload)
        assert letter.headers[ORIGIN_IN_KAFKA].startswith("events.order/")
        assert position in (None, letter.headers[ORIGIN_IN_KAFKA])


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize("transactional", [True, False])
def test_what_somebody_else_writes_into_the_log_does_not_stop_the_outbox(
    backdoor: Backdoor, transactional: bool
) -> None:
    """Once seen: the connector waited for ever for a topic for it."""
    for service in ("customer", "order"):
        backdoor.execute(service, "SELECT pg_logical_emit_message($1, 'of some tool', 'hello')", transactional)


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
def test_an_event_that_kafka_would_refuse_does_not_get_into_an_outbox(backdoor: Backdoor) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="an_event_is_small"):
        backdoor.append("order", "OrderCreated", json.dumps("x" * 2**16))
    with pytest.raises(asyncpg.CheckViolationError, match="an_event_has_a_topic"):
        backdoor.execute(
            "order", "INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('x', 1, 'x', '1')"
        )


BROKEN_AT = 6_660
"""Cents; the customers' books fail when this amount is to be reserved."""

BREAK = f"""
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''the books are broken''; END';
CREATE TRIGGER refuse BEFORE INSERT ON credit_reservations FOR EACH ROW
    WHEN (NEW.amount_cents = {BROKEN_AT} AND NEW.state = 'RESERVED') EXECUTE FUNCTION refuse();
"""
MEND = "DROP TRIGGER IF EXISTS refuse ON credit_reservations; DROP FUNCTION IF EXISTS refuse"


@pytest.fixture
def broken_books(backdoor: Backdoor) -> Iterator[Callable[[], None]]:
    """What mends them; they are mended after the test in any case."""
    backdoor.execute("customer", BREAK)
    yield lambda: backdoor.execute("customer", MEND)
    backdoor.execute("customer", MEND)


def test_what_a_handler_fails_at_comes_back_until_the_cause_is_mended_and_then_is_applied(
    backdoor: Backdoor,
    system: System,
    bystander: int,
    letters: Callable[[], list[DeadLetter]],
    broken_books: Callable[[], None],
) -> None:
    order = system.orders.place(bystander, BROKEN_AT / 100)
    later = system.orders.place(bystander, 1)
    assert system.orders.settled(later)["orderState"] == "APPROVED"
    [letter] = eventually(lambda: _exactly(1, letters()))
    assert system.orders.read(order)["orderState"] == "PENDING"
    _send_again(backdoor.stack, letter)
    [again] = eventually(lambda: _exactly(1, letters()))
    assert (again.headers[CONSUMER], again.headers[ERROR]) == ("customer", "RaiseError: the books are broken")
    assert again.headers[ORIGIN_IN_KAFKA] == letter.headers[ORIGIN_IN_KAFKA]
    broken_books()
    _send_again(backdoor.stack, again)
    assert system.orders.settled(order)["orderState"] == "APPROVED"
    assert letters() == []


def test_an_orders_later_events_do_not_wait_for_its_parked_one_which_comes_back_too_late_to_matter(
    backdoor: Backdoor,
    system: System,
    bystander: int,
    letters: Callable[[], list[DeadLetter]],
    broken_books: Callable[[], None],
) -> None:
    order = system.orders.place(bystander, BROKEN_AT / 100)
    [letter] = eventually(lambda: _exactly(1, letters()))
    system.orders.cancel(order)
    eventually(lambda: _has_reservation(backdoor, order, "CANCELLED"))
    broken_books()
    _send_again(backdoor.stack, letter)
    everything = system.orders.place(bystander, 99)  # behind it on the same path
    assert system.orders.settled(everything)["orderState"] == "APPROVED"
    assert_converges(system, bystander)
    system.orders.cancel(everything)
    assert letters() == []


def test_an_event_about_an_order_that_is_not_seen_yet_is_tried_until_it_is(
    backdoor: Backdoor, system: System, bystander: int, letters: Callable[[], list[DeadLetter]]
) -> None:
    order = _announce_unseen_order(backdoor, bystander)
    eventually(lambda: _is_tried_again(backdoor))
    _insert_order(backdoor, bystander, total=4, order_id=order)
    assert system.orders.settled(order)["orderState"] == "APPROVED"
    assert letters() == []


def test_an_event_about_an_order_that_stays_unknown_is_a_dead_letter_until_it_is_sent_again(
    backdoor: Backdoor, system: System, bystander: int, letters: Callable[[], list[DeadLetter]]
) -> None:
    order = _announce_unseen_order(backdoor, bystander)
    eventually(lambda: _is_tried_again(backdoor))
    meanwhile = system.orders.place(bystander, 1)
    assert system.orders.settled(meanwhile)["orderState"] == "APPROVED"
    [letter] = eventually(lambda: _exactly(1, letters()))
    assert letter.headers[CONSUMER] == "order"
    assert letter.headers[ERROR] == f"NotYetVisible: no order {order} is visible"
    _insert_order(backdoor, bystander, total=4, order_id=order)
    _send_again(backdoor.stack, letter)
    assert system.orders.settled(order)["orderState"] == "APPROVED"
    assert letters() == []


NEXT_ID = "SELECT nextval(pg_get_serial_sequence('orders', 'id'))"
INSERT_ORDER = "INSERT INTO orders (id, customer_id, total_cents, state, version) VALUES ($1, $2, $3, 'PENDING', 1)"


def _announce_unseen_order(backdoor: Backdoor, customer: int) -> int:
    """As if the order's event had overtaken its row: the customer service decides on it and tells of that."""
    order = int(backdoor.fetchval("order", NEXT_ID))
    backdoor.append("order", "OrderCreated", json.dumps({**ORDER, "orderId": order, "customerId": customer}), order)
    return order


def _insert_order(backdoor: Backdoor, customer: int, total: int, order_id: int | None = None) -> int:
    order = order_id or int(backdoor.fetchval("order", NEXT_ID))
    backdoor.execute("order", INSERT_ORDER, order, customer, total * 100)
    return order


def _has_credit(system: System, customer: int) -> None:
    assert system.customers.available(customer) >= 1


def _has_reservation(backdoor: Backdoor, order: int, state: str) -> None:
    found = backdoor.fetchval("customer", "SELECT state FROM credit_reservations WHERE order_id = $1", order)
    assert found == state


def _is_tried_again(backdoor: Backdoor) -> None:
    assert backdoor.redelivered("order") == 1


def _exactly(count: int, letters: list[DeadLetter]) -> list[DeadLetter]:
    assert len(letters) == count, letters
    return letters


def _send_again(stack: Stack, letter: DeadLetter) -> None:
    done = CliRunner().invoke(saga, ["--name", stack.name, "dead-letters", "resend", str(letter.sequence)])
    assert done.exit_code == 0, done.output
    assert "sent again" in done.output
