"""Each service and the bridge are killed twice under load.

Workload: clients repeat each request with its Idempotency-Key until it is acknowledged.
Nemesis: SIGKILL. Checker: tests/checker.py; every acknowledged order exists and is final.
"""

import itertools
import random
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from uuid import uuid4

import httpx
import pytest

from infra.native import Stack
from tests.checker import assert_converges
from tests.drivers import System
from tests.eventually import eventually

CLIENTS = 4
LIMIT = 60
ORDERS_BETWEEN_KILLS = 8
RECOVERY_SECONDS = 60.0

VICTIMS = ("customer", "order", "history", "bridge")


@dataclass
class Workload:
    """Clients that place orders, and cancel some, until they are stopped.

    Attributes:
        placed: by idempotency key, the id of each acknowledged order.
        cancelled: the ids of the orders whose cancellation was acknowledged.
    """

    system: System
    customers: list[int]
    placed: dict[str, int] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)
    stopping: Event = field(default_factory=Event)

    def run(self, client: int) -> None:
        for number in itertools.count():
            if self.stopping.is_set():
                return
            self._order(self.customers[(client + number) % len(self.customers)], number)

    def _order(self, customer: int, number: int) -> None:
        key = str(uuid4())
        body = {"customerId": customer, "orderTotal": {"amount": 1 + number % 3}}
        order_id = int(self._until_answered("/orders", body, key).json()["orderId"])
        self.placed[key] = order_id
        if number % 5 == 0 and self._until_answered(f"/orders/{order_id}/cancel", None, key).status_code == 200:
            self.cancelled.add(order_id)

    def _until_answered(self, path: str, body: object, key: str) -> httpx.Response:
        """Repeats the request until the answer is 200 or 409."""

        def attempt() -> httpx.Response:
            try:
                answer = self.system.orders.http.post(path, json=body, headers={"Idempotency-Key": key}, timeout=10.0)
            except httpx.TransportError as error:
                raise AssertionError(f"{path}: {error!r}") from error
            assert answer.status_code in (200, 409), answer.text
            return answer

        return eventually(attempt, within=RECOVERY_SECONDS)


@contextmanager
def flowing(workload: Workload) -> Iterator[None]:
    """Runs the workload; an error of a client fails the test."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients: list[Future[None]] = [pool.submit(workload.run, number) for number in range(CLIENTS)]
        try:
            yield
        finally:
            workload.stopping.set()
        for client in clients:
            client.result()


def _kill(stack: Stack, victim: str) -> None:
    """Kills a component, and waits until another process of it is ready."""
    before = stack.pid(victim)
    stack.signal(victim, signal.SIGKILL)

    def check() -> None:
        assert stack.pid(victim) not in (0, before)

    eventually(check, within=RECOVERY_SECONDS)
    stack.wait_ready(victim)


def _wait_for_more(workload: Workload) -> None:
    enough = len(workload.placed) + ORDERS_BETWEEN_KILLS

    def check() -> None:
        assert len(workload.placed) >= enough

    eventually(check, within=RECOVERY_SECONDS)


@pytest.fixture(scope="module")
def workload(stack: Stack, system: System) -> Workload:
    """What was acknowledged while all four components were killed twice, in random order."""
    workload = Workload(system, [system.customers.create(limit=LIMIT) for _ in range(5)])
    victims = [*VICTIMS, *VICTIMS]
    random.shuffle(victims)
    print(f"killed in this order: {', '.join(victims)}")  # noqa: T201 - shown when a test fails
    with flowing(workload):
        for victim in victims:
            _wait_for_more(workload)
            _kill(stack, victim)
        _wait_for_more(workload)
    return workload


def test_every_acknowledged_order_exists_once_and_is_final(system: System, workload: Workload) -> None:
    acknowledged = list(workload.placed.values())
    assert len(acknowledged) == len(set(acknowledged))
    for order_id in acknowledged:
        system.orders.settled(order_id)
    stored = {order["orderId"] for customer in workload.customers for order in system.orders.of(customer)}
    missing, extra = set(acknowledged) - stored, stored - set(acknowledged)
    assert (missing, extra) == (set(), set())


def test_every_order_whose_cancellation_was_acknowledged_is_cancelled(system: System, workload: Workload) -> None:
    assert workload.cancelled
    states = {order_id: system.orders.read(order_id)["orderState"] for order_id in workload.cancelled}
    assert set(states.values()) == {"CANCELLED"}


def test_reserved_credit_orders_and_view_agree(system: System, workload: Workload) -> None:
    for customer in workload.customers:
        assert_converges(system, customer, within=RECOVERY_SECONDS)
