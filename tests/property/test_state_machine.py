"""Hypothesis drives the real services through steps of its choice, and shrinks a sequence that breaks them.

The services are put together by their own `assemble`, over real PostgreSQL, JetStream and MongoDB. Steps are clients'
requests, batches of the workers, and the path from the outboxes to the stream; some run at the same time. Hypothesis
chooses by nothing that is measured or timed, so a failing example can be run again. Only the engines' timing inside of
a `race`, or of groups at two instances, may differ.
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
from tests.property.clients import Clients, Command, PlaceOrder
from tests.property.invariants import Invariants
from tests.property.workers import Request, Workers
from tests.property.world import NAMES, ORDER_INSTANCES, World, open_world

EXAMPLES = int(os.environ.get("EXAMPLES", "40"))
STEPS = 25

UNKNOWN_CUSTOMER = 1_000_000

LIMITS = st.integers(0, 20)
TOTALS = st.integers(1, 8)
SERVICES = st.sampled_from(NAMES)
BATCHES = st.integers(1, 6)
KEYS = st.none() | st.sampled_from(["a", "b", "c"])
INSTANCES = st.integers(0, ORDER_INSTANCES - 1)


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
        self._clients, self._workers, self._invariants = Clients(world), Workers(world), Invariants(world)
        self._failure: Exception | None = None
        runner.run(world.clear())

    def _step(self, *works: Coroutine[Any, Any, Any]) -> Any:
        """Runs these coroutines, checks the invariants, and returns the last result; [] after a failure.

        A failure is raised at the end of the example, and the steps after it are left out: a race does not fail each
        time, and Hypothesis requires that an example fails at the same step whenever it is run.
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
        return multiple(UNKNOWN_CUSTOMER, self._step(self._clients.create_customer(limit)))

    @rule(target=customers, limit=LIMITS)
    def create_customer(self, limit: int) -> Any:
        return self._step(self._clients.create_customer(limit))

    @rule(
        target=orders,
        requests=st.lists(
            st.builds(PlaceOrder, st.builds(Command, customers, TOTALS), KEYS, INSTANCES), min_size=1, max_size=6
        ),
    )
    def place_orders(self, requests: list[PlaceOrder]) -> MultipleResults[int]:
        """Several different orders at once, with and without keys, in one group of each instance."""
        return multiple(*(self._step(self._clients.place(requests)) or []))

    @rule(order=orders)
    def cancel(self, order: int) -> None:
        self._step(self._clients.cancel(order))

    # Housekeeping

    @rule()
    def deadline(self) -> None:
        self._step(self._world.reject_overdue())

    @rule()
    def expire_keys(self) -> None:
        self._step(self._clients.expire_keys())

    # The path from the outboxes to the stream

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
        """Workers of all services with a batch each, and requests, run at once over the orders of one customer."""
        placed = self._step(self._clients.place([PlaceOrder(Command(customer, total)) for total in totals]))
        requests: list[Request] = [partial(self._clients.cancel, order) for order in cancelled]
        requests += [self._world.reject_overdue] if deadline else []
        # Small batches, so that each worker gets one.
        shares = [(name, batch) for name in NAMES for _ in range(workers)]
        self._step(self._world.publish(), self._workers.work_at_once(shares, *requests))
        return multiple(*(placed or []))

    @rule(workers=st.integers(1, 3), batch=BATCHES)
    def run_until_quiet(self, workers: int, batch: int) -> None:
        self._step(self._workers.run(workers, batch), *self._convergence())

    def _convergence(self) -> tuple[Coroutine[Any, Any, None], Coroutine[Any, Any, None]]:
        return self._invariants.check_converged(), self._clients.check_answers()

    def teardown(self) -> None:
        self._step(self._workers.drain(), *self._convergence())
        if self._failure:
            # One type of error for all, so that an example which fails in two ways is still the same example.
            raise Broken("the first error is above") from self._failure


@pytest.mark.timeout(3_600)  # EXAMPLES may ask for many, and shrinking runs an example many times
def test_the_services_converge_after_any_sequence_of_requests_deliveries_and_crashes(
    world: World, runner: asyncio.Runner
) -> None:
    def machine() -> RuleBasedStateMachine:
        return CustomersAndOrders(world, runner)

    factory: Any = machine  # the library takes a function too, though its annotation says a class
    run_state_machine_as_test(
        factory,
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
