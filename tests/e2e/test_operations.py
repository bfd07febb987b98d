"""./saga on a running stack."""

import pytest
from click.testing import CliRunner, Result

from infra.native import Stack
from operations.__main__ import saga
from tests.backdoor import Backdoor
from tests.drivers import System
from tests.eventually import eventually


@pytest.fixture
def operator(stack: Stack):
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(saga, ["--name", stack.name, *arguments])

    return run


def test_explain_tells_the_story_of_an_order_from_its_outbox_row_to_the_view(system: System, operator) -> None:
    order_id = system.orders.place(system.customers.create(limit=10), 4)
    system.orders.settled(order_id)

    def story_is_complete() -> None:
        told = operator("explain", "order", str(order_id))
        assert told.exit_code == 0, told.output
        for part in ("order        APPROVED", "reservation  RESERVED", "view         APPROVED"):
            assert part in told.output, told.output
        for event in ("OrderCreated", "CreditReserved", "OrderApproved"):
            assert event in told.output
        assert told.output.count("    Kafka ") >= 3
        assert told.output.count("    stream ") >= 3

    eventually(story_is_complete)


def test_a_dead_letter_is_listed_and_can_be_sent_again(stack: Stack, operator) -> None:
    headers = {"id": "a-poisonous-event", "type": "OrderCreated"}
    Backdoor(stack).produce("events.order", b'{"orderId": "not a number"}', headers)

    def letters() -> list[str]:
        listed = operator("dead-letters", "list")
        assert listed.exit_code == 0, listed.output
        return [line for line in listed.output.splitlines() if "orderId" in line]

    def both_consumers_gave_it_up() -> list[str]:
        found = letters()
        assert {line.split()[1] for line in found} == {"customer", "history"}
        return found

    first = eventually(both_consumers_gave_it_up)
    sequences = [line.split()[0] for line in first]
    again = operator("dead-letters", "resend", *sequences)
    assert again.output.count("sent again") == 2

    def they_came_back_as_others() -> None:
        assert {line.split()[0] for line in both_consumers_gave_it_up()}.isdisjoint(sequences)

    eventually(they_came_back_as_others)
    stack.wait_ready()


def test_republished_states_change_nothing_that_is_known_already(system: System, operator) -> None:
    customer_id = system.customers.create(limit=10)
    order_id = system.orders.place(customer_id, 4)
    system.orders.settled(order_id)
    eventually(lambda: _assert_approved_in(system, order_id))
    before = system.history.customer(customer_id), system.customers.read(customer_id)
    assert operator("republish").exit_code == 0
    later = system.orders.place(customer_id, 1)  # behind them on the same path
    system.orders.settled(later)
    eventually(lambda: _assert_approved_in(system, later))
    assert system.history.order(order_id)["state"] == "APPROVED"
    assert before[1]["availableCredit"]["amount"] - 1 == system.customers.available(customer_id)


def _assert_approved_in(system: System, order_id: int) -> None:
    assert system.history.http.get(f"/orders/{order_id}").json().get("state") == "APPROVED"
