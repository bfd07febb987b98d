"""Hypothesis drives the real services through whatever it can think of, and shrinks what breaks them.

Clients, workers and the road between the services take turns or go at once; PostgreSQL, JetStream, MongoDB, the
subscriptions, consumers and handlers are the real ones. What Hypothesis chooses depends on nothing that is measured or
timed, so a failing example runs again as it was, but for the engines' own timing inside of a `race`.
"""

import asyncio
import os
import secrets
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from infra.native import Stack
from tests.engines import NatsServer
from tests.property.invariants import Invariants
from tests.property.workers import Request, Workers
from tests.property.world import World, open_world

EXAMPLES = int(os.environ.get("EXAMPLES", "40"))
STEPS = 25

UNKNOWN_CUSTOMER = 1_000_000

LIMITS = st.integers(0, 20)
TOTALS = st.integers(1, 8)
NAMES = ("customer", "order", "history")
SERVICES = st.sampled_from(NAMES)
BATCHES = st.integers(1, 6)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def world(stack: Stack, runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    addresses = stack.environment("keeper")
    mongodb = urlsplit(addresses["MONGODB_ADMIN_URL"])._replace(path=f"/property_{secrets.token_hex(6)}")
    nats = NatsServer(Path(tmp_path_factory.mktemp("jetstream")))
    with ExitStack() as opened:
        nats.start()
        opened.callback(nats.stop)
        manager = open_world(addresses["POSTGRES_URL"], urlunsplit(mongodb), nats)
        yield runner.run(manager.__aenter__())
        runner.run(manager.__aexit__(None, None, None))


class Broken(Exception):
    """A step failed, or an invariant does not hold."""


class CustomersAndOrders(RuleBasedStateMachine):
    """The whole system, without its bridge."""

    customers = Bundle("customers")
    orders = Bundle("orders")

    def __init__(self, world: World, runner: asyncio.Runner) -> None:
        super().__init__()
        self._world, self._runner = world, runner
        self._workers, self._invariants = Workers(world), Invariants(world)
        self._failure: Exception | None = None
        runner.run(world.clear())

    def _step(self, *works: Coroutine[Any, Any, Any]) -> Any:
        """Does these things, looks whether the invariants hold, and returns the last answer.

        A failure is kept for the end, and what comes after it is left out: a race does not fail each time, and
        Hypothesis could not make sense of an example that goes on where it ended before.
        """
        answer = None
        for work in works:
            answer = self._attempt(work)
        self._attempt(self._invariants.check())
        return answer

    def _attempt(self, work: Coroutine[Any, Any, Any]) -> Any:
        if self._failure:
            work.close()
            return None
        try:
            return self._runner.run(work)
        except Exception as failure:  # noqa: BLE001 - raised at the end
            note("this step failed")
            self._failure = failure
            return None

    # Clients

    @initialize(target=customers, limit=LIMITS)
    def first_customer(self, limit: int) -> MultipleResults[int]:
        return multiple(UNKNOWN_CUSTOMER, self._step(self._world.create_customer(limit)))

    @rule(target=customers, limit=LIMITS)
    def create_customer(self, limit: int) -> int:
        return self._step(self._world.create_customer(limit))

    @rule(target=orders, customer=customers, total=TOTALS)
    def place_order(self, customer: int, total: int) -> int:
        return self._step(self._world.place_order(customer, total))

    @rule(order=orders)
    def cancel(self, order: int) -> None:
        self._step(self._world.cancel(order))

    @rule()
    def deadline(self) -> None:
        self._step(self._world.reject_overdue())

    # The road

    @rule(
        ranks=st.lists(st.integers(0, 3), max_size=6),
        limit=st.none() | st.integers(1, 6),
        repeats=st.lists(st.integers(0, 20), max_size=4),
    )
    def publish(self, ranks: list[int], limit: int | None, repeats: list[int]) -> None:
        self._step(self._world.publish(ranks, limit, repeats))

    # Workers

    @rule(service=SERVICES, batch=BATCHES)
    def deliver(self, service: str, batch: int) -> None:
        self._step(self._workers.work_at_once([(service, batch)]))

    @rule(service=SERVICES, batch=BATCHES)
    def redeliver(self, service: str, batch: int) -> None:
        self._step(self._workers.give_back(service, batch))

    @rule(service=SERVICES, batch=BATCHES)
    def restart(self, service: str, batch: int) -> None:
        self._step(self._workers.die_unacknowledged(service, batch))

    @rule(service=SERVICES)
    def start_over(self, service: str) -> None:
        self._step(self._workers.start_over(service))

    @rule()
    def wipe_view(self) -> None:
        self._invariants.forget_the_view()
        self._step(self._world.wipe_view(), self._workers.start_over("history"))

    # All at once

    @precondition(lambda self: self.bundle("orders"))
    @rule(
        target=orders,
        customer=customers,
        totals=st.lists(TOTALS, min_size=2, max_size=6),
        cancelled=st.lists(orders, max_size=2),
        deadline=st.booleans(),
        workers=st.integers(2, 3),
        batch=st.integers(1, 2),
    )
    def race(
        self, customer: int, totals: list[int], cancelled: list[int], deadline: bool, workers: int, batch: int
    ) -> MultipleResults[int]:
        """Workers of all services with a batch each, and requests, go at once, over the orders of one customer."""
        ids = [self._step(self._world.place_order(customer, total)) for total in totals]
        requests: list[Request] = [partial(self._world.cancel, order) for order in cancelled]
        requests += [self._world.reject_overdue] if deadline else []
        # Small batches, so that there is something for each.
        shares = [(name, batch) for name in NAMES for _ in range(workers)]
        self._step(self._world.publish(), self._workers.work_at_once(shares, *requests))
        return multiple(*ids)

    @rule(workers=st.integers(1, 3), batch=BATCHES)
    def run_until_quiet(self, workers: int, batch: int) -> None:
        self._step(self._workers.run(workers, batch), self._invariants.check_converged())

    def teardown(self) -> None:
        self._step(self._workers.drain(), self._invariants.check_converged())
        if self._failure:
            # One error for all, so that an example which fails in two ways is still the same example.
            raise Broken("the first error is above") from self._failure


def test_the_services_converge_whatever_clients_workers_and_the_road_between_them_do(
    world: World, runner: asyncio.Runner
) -> None:
    def machine() -> RuleBasedStateMachine:
        return CustomersAndOrders(world, runner)

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            print_blob=True,
            # Telling which lines only failing runs pass takes as many runs again.
            phases=set(Phase) - {Phase.explain},
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
