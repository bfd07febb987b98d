"""./saga explain, dead-letters and republish on a running stack, as an operator uses them."""

from uuid import uuid4

import pytest

from infra.native import Stack
from tests.backdoor import Backdoor
from tests.drivers import System
from tests.e2e.operator import Operator
from tests.eventually import eventually

UNKNOWN = 2**62

STATES_SENT = """
SELECT type, payload->>'state' AS state, (payload->>'version')::bigint AS version FROM outbox
WHERE aggregateid = $1::bigint::text ORDER BY id
"""


@pytest.fixture
def operator(stack: Stack) -> Operator:
    return Operator(stack)


@pytest.fixture
def approved(system: System) -> int:
    """An order that the view shows as approved."""
    order = system.orders.place(system.customers.create(limit=10), 4)
    system.orders.settled(order)
    eventually(lambda: _assert_approved_in_view(system, order))
    return order


def test_explain_shows_an_orders_states_and_each_of_its_events_from_the_outbox_to_the_stream(
    operator: Operator, approved: int
) -> None:
    def is_complete() -> None:
        story = operator.succeed("explain", "order", str(approved))
        for part in (
            "order        APPROVED, version 2",
            "reservation  RESERVED, 4.00",
            "view         APPROVED, version 2",
        ):
            assert part in story, story
        for event in ("OrderCreated (version 1)", "CreditReserved (version 2)", "OrderApproved (version 2)"):
            assert event in story, story
        assert story.count("    outbox     ") == 3, story
        assert story.count("    Kafka      events.") >= 3, story
        assert story.count("    stream     sequence ") >= 3, story
        assert "messages that are not acknowledged yet, by consumer: customer " in story, story

    eventually(is_complete)


def test_explain_names_an_order_that_no_part_of_the_system_knows(operator: Operator) -> None:
    error = f"Error: no part of the system knows order {UNKNOWN}; GET /orders lists the orders\n"
    assert operator.fail("explain", "order", str(UNKNOWN)) == error


def test_explain_shows_what_there_is_of_an_order_that_only_the_customer_service_knows(
    stack: Stack, operator: Operator
) -> None:
    backdoor = Backdoor(stack)
    backdoor.execute("customer", "INSERT INTO credit_reservations VALUES ($1, 7, 400, 'CANCELLED')", UNKNOWN)
    story = operator.succeed("explain", "order", str(UNKNOWN))
    backdoor.execute("customer", "DELETE FROM credit_reservations WHERE order_id = $1", UNKNOWN)
    assert f"order        there is no order {UNKNOWN}\n" in story
    assert "reservation  CANCELLED, 4.00 of customer 7\n" in story


@pytest.fixture
def letters(stack: Stack, operator: Operator) -> list[str]:
    """The sequences of two dead letters, one of each consumer that cannot read a poison message."""
    before = _sequences(operator)
    headers = {"id": str(uuid4()), "type": "OrderCreated"}
    Backdoor(stack).produce("events.order", b'{"orderId": "not a number"}', headers)
    return eventually(lambda: _two_new(operator, before))


def _sequences(operator: Operator) -> dict[str, str]:
    """By sequence, the consumer of each dead letter that the list shows."""
    lines = operator.succeed("dead-letters", "list").splitlines()
    return {line.split()[0]: line.split()[1] for line in lines if line[0].isdigit()}


def _two_new(operator: Operator, before: dict[str, str]) -> list[str]:
    new = {sequence: consumer for sequence, consumer in _sequences(operator).items() if sequence not in before}
    assert sorted(new.values()) == ["customer", "history"]
    return list(new)


def test_a_dead_letter_is_listed_with_its_consumer_origin_and_error(operator: Operator, letters: list[str]) -> None:
    lines = operator.succeed("dead-letters", "list").splitlines()
    [line] = [line for line in lines if line.startswith(f"{letters[0]}  ")]
    assert "events.order.0.OrderCreated sequence " in line
    assert " from events.order/0@" in line
    assert "orderId: Input should be a valid integer" in line


def test_a_redelivered_dead_letter_is_deleted_and_its_consumer_tries_it_again(
    operator: Operator, letters: list[str]
) -> None:
    before = _sequences(operator)
    output = operator.succeed("dead-letters", "redeliver", *letters)
    assert [line.split()[:2] for line in output.splitlines()] == [["redelivered:", sequence] for sequence in letters]
    again = eventually(lambda: _two_new(operator, before))
    assert not set(letters) & set(_sequences(operator))
    assert set(again).isdisjoint(letters)


def test_a_sequence_that_is_no_dead_letter_is_named_and_the_others_are_redelivered(
    operator: Operator, letters: list[str]
) -> None:
    output = operator.fail("dead-letters", "redeliver", letters[0], str(UNKNOWN))
    redelivered, error = output.splitlines()
    assert redelivered.startswith(f"redelivered: {letters[0]}  ")
    assert error == f"Error: there is no dead letter {UNKNOWN}; `./saga dead-letters list` shows those that exist"
    assert letters[0] not in _sequences(operator)


def test_republished_states_are_those_of_the_orders_and_change_nothing(
    stack: Stack, system: System, operator: Operator, approved: int
) -> None:
    backdoor = Backdoor(stack)
    customer = system.history.order(approved)["customerId"]
    before = system.history.customer(customer), system.customers.read(customer)
    lines = operator.succeed("republish").splitlines()
    customers, orders = (backdoor.fetchval(name, f"SELECT count(*) FROM {name}s") for name in ("customer", "order"))  # noqa: S608
    assert lines == [f"customer: {customers} states republished", f"order: {orders} states republished"]
    sent = [tuple(row) for row in backdoor.fetch("order", STATES_SENT, approved)]
    assert sent == [("OrderCreated", "PENDING", 1), *[("OrderApproved", "APPROVED", 2)] * 2]
    later = system.orders.place(customer, 1)  # behind the republished states on the same path
    system.orders.settled(later)
    eventually(lambda: _assert_approved_in_view(system, later))
    assert system.history.order(approved)["state"] == "APPROVED"
    assert system.customers.available(customer) == before[1]["availableCredit"]["amount"] - 1
    assert system.history.customer(customer)["creditLimit"] == before[0]["creditLimit"]


@pytest.mark.parametrize("service", ["customer", "order"])
def test_the_states_of_one_service_only_can_be_republished(operator: Operator, approved: int, service: str) -> None:
    [line] = operator.succeed("republish", service).splitlines()
    assert line.startswith(f"{service}: ")


def _assert_approved_in_view(system: System, order_id: int) -> None:
    assert system.history.http.get(f"/orders/{order_id}").json().get("state") == "APPROVED"
