"""./saga audit on a stack of its own: it names what is broken on purpose, and tells late from wrong."""

import asyncio
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pymongo import MongoClient

from infra.native import Stack
from infra.native.layout import CHECKOUT
from messaging.streams import DEAD_LETTERS
from operations import __main__ as command_line
from tests.backdoor import Backdoor
from tests.checker import assert_converges
from tests.drivers import System, connected, stopped
from tests.e2e.operator import Operator
from tests.eventually import eventually

CLEAN = "0 wrong, 0 late, 0 in flight"


@pytest.fixture(scope="module")
def own_stack() -> Iterator[Stack]:
    """A stack in which nothing is wrong: other tests leave dead letters and forged rows in the shared one."""
    stack = Stack.load("audit")
    stack.reset()
    try:
        stack.up()
        yield stack
    finally:
        stack.reset()


@dataclass(frozen=True)
class Case:
    """An approved order on the stack, and ways to break what the parts know about it."""

    system: System
    backdoor: Backdoor
    operator: Operator
    customer: int
    order: int

    def change_view(self, kind: str, key: int, change: dict[str, Any]) -> None:
        """Changes a document of the live generation."""
        with MongoClient[dict[str, Any]](self.backdoor.stack.environment("keeper")["MONGODB_URL"]) as client:
            view = client.get_default_database()
            live = (view["generations"].find_one({"_id": "view"}) or {})["live"]
            assert view[f"{kind}_{live}"].update_one({"_id": key}, {"$set": change}).matched_count == 1


@pytest.fixture
def case(own_stack: Stack) -> Iterator[Case]:
    """The audit finds nothing before the test, and nothing after what the test has repaired."""
    with connected(own_stack.ports) as system:
        customer = system.customers.create(limit=10)
        order = system.orders.place(customer, total=4)
        system.orders.settled(order)
        assert_converges(system, customer)
        case = Case(system, Backdoor(own_stack), Operator(own_stack), customer, order)
        eventually(lambda: _is_clean(case))
        yield case
        eventually(lambda: _is_clean(case))


def _is_clean(case: Case) -> None:
    result = case.operator.run("audit")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, CLEAN), result.output


def _findings(output: str, label: str) -> set[str]:
    return {line.removeprefix(label).strip() for line in output.splitlines() if line.startswith(label)}


def test_a_reservation_of_another_amount_is_wrong(case: Case) -> None:
    update = "UPDATE credit_reservations SET amount_cents = $2 WHERE order_id = $1"
    case.backdoor.execute("customer", update, case.order, 399)
    output = case.operator.fail("audit")
    case.backdoor.execute("customer", update, case.order, 400)
    asked = f"asks for 400 cents of customer {case.customer}"
    assert _findings(output, "WRONG") == {
        f"decision: order {case.order}: {asked}, its reservation is about 399 cents of customer {case.customer}",
        f"reserved credit: customer {case.customer}: 400 cents in the customer's row, 399 in the reservations",
    }
    assert output.splitlines()[-1] == "2 wrong, 0 late, 0 in flight"


def test_an_order_whose_state_contradicts_its_reservation_is_wrong(case: Case) -> None:
    update = "UPDATE credit_reservations SET state = $2 WHERE order_id = $1"
    case.backdoor.execute("customer", update, case.order, "LIMIT_EXCEEDED")
    output = case.operator.fail("audit")
    case.backdoor.execute("customer", update, case.order, "RESERVED")
    assert f"decision: order {case.order}: is APPROVED, its reservation is LIMIT_EXCEEDED" in _findings(output, "WRONG")


def test_a_changed_document_of_the_view_is_wrong(case: Case) -> None:
    case.change_view("orders", case.order, {"state": "REJECTED", "version": 1})
    case.change_view("customers", case.customer, {"version": 9})
    output = case.operator.fail("audit")
    case.change_view("orders", case.order, {"state": "APPROVED", "version": 2})
    case.change_view("customers", case.customer, {"version": 1})
    differences = "state is APPROVED, in the view REJECTED; version is 2, in the view 1"
    assert _findings(output, "WRONG") == {
        f"view: order {case.order}: {differences}",
        f"view: customer {case.customer}: version is 1, in the view 9",
    }


def test_an_event_that_the_outbox_lacks_is_wrong(case: Case) -> None:
    approved = "type = 'OrderApproved' AND aggregateid = $1::bigint::text"
    case.backdoor.execute("order", "CREATE TABLE aside (LIKE outbox)")
    case.backdoor.execute("order", f"INSERT INTO aside SELECT * FROM outbox WHERE {approved}", case.order)  # noqa: S608
    case.backdoor.execute("order", f"DELETE FROM outbox WHERE {approved}", case.order)  # noqa: S608
    output = case.operator.fail("audit")
    case.backdoor.execute("order", "INSERT INTO outbox SELECT * FROM aside")
    case.backdoor.execute("order", "DROP TABLE aside")
    missing = "has version 2, the outbox has no event of version 2"
    assert _findings(output, "WRONG") == {f"outbox: order {case.order}: {missing}"}


def test_an_event_that_did_not_reach_the_stream_is_wrong(case: Case, own_stack: Stack) -> None:
    with stopped(own_stack, "connect"):
        order = case.system.orders.place(case.customer, total=1)
        event_id = case.backdoor.fetchval(
            "order", "SELECT id::text FROM outbox WHERE aggregateid = $1::bigint::text", order
        )
        output = case.operator.fail("audit")
    case.system.orders.settled(order)
    sent = f"sent: event {event_id}: OrderCreated of order {order} is in the outbox of order, not in the stream"
    assert sent in _findings(output, "WRONG")
    assert f"final: order {order}: is PENDING" in _findings(output, "WRONG")


def test_a_dead_letter_is_wrong(case: Case) -> None:
    headers = {"id": "a-poisonous-event", "type": "OrderCreated"}
    case.backdoor.produce("events.order", b'{"orderId": "not a number"}', headers)

    def both_consumers_gave_it_up() -> str:
        output = case.operator.fail("audit")
        assert len(_findings(output, "WRONG")) == 2
        return output

    output = eventually(both_consumers_gave_it_up)
    case.backdoor.purge(DEAD_LETTERS)
    hint = "1 messages could not be handled; `./saga dead-letters list` shows them"
    assert _findings(output, "WRONG") == {
        f"dead letters: consumer {consumer}: {hint}" for consumer in ("customer", "history")
    }


def test_a_customer_that_the_view_lost_is_wrong_until_it_is_republished(case: Case) -> None:
    case.change_view("customers", case.customer, {"name": "Joan Doe", "version": 0})
    assert f"view: customer {case.customer}: name is Jane Doe, in the view Joan Doe" in case.operator.fail("audit")
    case.operator.succeed("republish", "customer")


def test_an_order_is_late_while_its_consumer_has_messages_to_handle(case: Case, own_stack: Stack) -> None:
    with stopped(own_stack, "customer"):
        order = case.system.orders.place(case.customer, total=1)
        output = eventually(lambda: _is_late(case, order))
    case.system.orders.settled(order)
    assert _findings(output, "late") == {
        f"final: order {order}: is PENDING",
        f"decision: order {order}: is PENDING, the customer service has no decision",
    }
    assert output.splitlines()[-1] == "0 wrong, 2 late, 0 in flight"
    assert "not acknowledged: customer 1, " in output


def _is_late(case: Case, order: int) -> str:
    result = case.operator.run("audit")
    assert f"late   final: order {order}: is PENDING" in result.output, result.output
    assert "0 in flight" in result.output, result.output
    assert result.exit_code == 0
    return result.output


def test_what_is_gone_at_the_second_look_was_in_flight(
    case: Case, own_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_stack.stop("customer")
    order = case.system.orders.place(case.customer, total=1)
    eventually(lambda: _is_late(case, order))

    async def let_it_be_decided() -> None:
        await asyncio.to_thread(own_stack.start, "customer")
        await asyncio.to_thread(own_stack.wait_ready, "customer")
        await asyncio.to_thread(case.system.orders.settled, order)
        await asyncio.to_thread(assert_converges, case.system, case.customer)

    monkeypatch.setattr(command_line, "_pause_between_looks", let_it_be_decided)
    output = case.operator.succeed("audit")
    assert output.splitlines()[-1] == "0 wrong, 0 late, 2 in flight"


def test_a_stack_that_is_down_is_named_with_the_command_that_starts_it(own_stack: Stack) -> None:
    own_stack.down()
    for command in (["audit"], ["explain", "order", "1"], ["dead-letters", "list"], ["republish"], ["rebuild-view"]):
        done = subprocess.run(
            [CHECKOUT / "saga", "--name", own_stack.name, *command], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == 'Error: the stack "audit" is down: `make up NAME=audit` starts it\n'
