"""Both databases are away with events in hand, for more attempts than a poisonous message has: no event is given up."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import asyncpg
import pytest

from infra.native import Stack
from messaging.consumer import RetryPolicy
from tests.backdoor import Backdoor
from tests.checker import assert_converges
from tests.drivers import System, stopped
from tests.eventually import eventually

ORDERS = 20
ENOUGH_ATTEMPTS = {"customer": RetryPolicy().attempts + 1, "history": 3}
"""MongoDB's driver looks for its server for 3 s in each attempt."""

OUTAGE_SECONDS = 60.0
"""At most."""

HOLD_UP = "LOCK TABLE credit_reservations IN EXCLUSIVE MODE"


@contextmanager
def decisions_held_up(stack: Stack) -> Iterator[None]:
    """Whoever wants to store a credit decision waits, with its events in hand, until PostgreSQL stops."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(stack.environment("customer")["DATABASE_URL"]))
        runner.run(connection.execute(f"BEGIN; {HOLD_UP}"))
        try:
            yield
        finally:
            connection.terminate()


@pytest.fixture
def attempts(stack: Stack) -> Callable[[str], int]:
    """How often a service has tried its batch since the test began, by its log."""
    seen = {service: stack.layout.log_of(service).stat().st_size for service in ENOUGH_ATTEMPTS}

    def count(service: str) -> int:
        said = stack.layout.log_of(service).read_bytes()[seen[service] :].decode()
        return max(map(int, re.findall(rf"{service}\w*: attempt (\d+), trying again", said)), default=0)

    return count


def test_an_outage_of_both_databases_gives_no_event_up_and_all_are_applied_afterwards(
    stack: Stack, system: System, attempts: Callable[[str], int]
) -> None:
    before = Backdoor(stack).dead_letters()
    customer = system.customers.create(limit=ORDERS)
    with ExitStack() as outage:
        outage.enter_context(stopped(stack, "mongo"))
        with decisions_held_up(stack):
            orders = [system.orders.place(customer, total=1) for _ in range(ORDERS)]
            eventually(lambda: _is_waiting_for_the_lock(stack))
            outage.enter_context(stopped(stack, "postgres"))
        for service, enough in ENOUGH_ATTEMPTS.items():
            eventually(partial(_has_tried_often, attempts, service, enough), within=OUTAGE_SECONDS)
    stack.wait_ready()
    assert {system.orders.settled(order)["orderState"] for order in orders} == {"APPROVED"}
    assert_converges(system, customer)
    assert Backdoor(stack).dead_letters() == before


def _is_waiting_for_the_lock(stack: Stack) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'credit_reservations'::regclass"
    assert Backdoor(stack).fetchval("customer", waiting) == 1


def _has_tried_often(attempts: Callable[[str], int], service: str, enough: int) -> None:
    assert attempts(service) >= enough
