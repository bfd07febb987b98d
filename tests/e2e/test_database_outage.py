"""Both databases are away for more attempts than a poison message gets: no event becomes a dead letter."""

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
"""By service. Each attempt of the history takes 3 s: MongoDB's driver waits so long for its server."""

OUTAGE_SECONDS = 60.0
"""The longest outage; it ends after enough attempts."""

LOCK_DECISIONS = "LOCK TABLE credit_reservations IN EXCLUSIVE MODE"


@contextmanager
def decisions_blocked(stack: Stack) -> Iterator[None]:
    """A transaction that stores a credit decision waits, with its events unacknowledged, until PostgreSQL stops."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(stack.environment("customer")["DATABASE_URL"]))
        runner.run(connection.execute(f"BEGIN; {LOCK_DECISIONS}"))
        try:
            yield
        finally:
            connection.terminate()


@pytest.fixture
def attempts(stack: Stack) -> Callable[[str], int]:
    """Counts the attempts of a service at one batch since the test began, by its log."""
    seen = {service: stack.layout.log_of(service).stat().st_size for service in ENOUGH_ATTEMPTS}

    def count(service: str) -> int:
        text = stack.layout.log_of(service).read_bytes()[seen[service] :].decode()
        return max(map(int, re.findall(rf"{service}\w*: attempt (\d+) failed, it is repeated", text)), default=0)

    return count


def test_events_that_arrive_during_an_outage_of_both_databases_are_all_applied_after_it_and_none_is_a_dead_letter(
    stack: Stack, system: System, attempts: Callable[[str], int]
) -> None:
    before = Backdoor(stack).dead_letters()
    customer = system.customers.create(limit=ORDERS)
    with ExitStack() as outage:
        outage.enter_context(stopped(stack, "mongo"))
        with decisions_blocked(stack):
            orders = [system.orders.place(customer, total=1) for _ in range(ORDERS)]
            eventually(lambda: _waits_for_the_lock(stack))
            outage.enter_context(stopped(stack, "postgres"))
        for service, enough in ENOUGH_ATTEMPTS.items():
            eventually(partial(_has_tried_enough, attempts, service, enough), within=OUTAGE_SECONDS)
    stack.wait_ready()
    assert {system.orders.settled(order)["orderState"] for order in orders} == {"APPROVED"}
    assert_converges(system, customer)
    assert Backdoor(stack).dead_letters() == before


def _waits_for_the_lock(stack: Stack) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'credit_reservations'::regclass"
    assert Backdoor(stack).fetchval("customer", waiting) == 1


def _has_tried_enough(attempts: Callable[[str], int], service: str, enough: int) -> None:
    assert attempts(service) >= enough
