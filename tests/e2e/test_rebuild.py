"""The view is rebuilt while orders are placed and readers poll it: no reader sees less than before.

Workload: the clients of tests/e2e/test_kill_services.py. Readers: GETs without a pause, each compared with the one
before. Nemesis: ./saga rebuild-view, a wiped MongoDB, SIGKILL.
"""

import asyncio
import itertools
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Event

import httpx
import pytest
from click.testing import Result
from pymongo import MongoClient

from infra.native import Stack
from infra.provision.settings import Settings
from messaging.connection import connect
from messaging.streams import EVENTS, request
from services.history.views import NEWEST_ORDERS
from tests.checker import assert_converges
from tests.drivers import Json, System, connected
from tests.e2e.operator import Operator
from tests.e2e.test_kill_services import Workload, flowing
from tests.eventually import eventually

LIMIT = 1_000
RECOVERY_SECONDS = 60.0
FINAL = ("APPROVED", "REJECTED", "CANCELLED")


@dataclass
class Reader:
    """Polls the history, and records what no reader may see.

    Attributes:
        answers: the number of answers by status; 0 for a refused connection.
        faults: answers with less than an earlier one, and unexpected errors.
    """

    http: httpx.Client
    customers: list[int]
    answers: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    stopping: Event = field(default_factory=Event)
    _orders: dict[int, dict[str, str]] = field(default_factory=dict)
    _count: int = 0

    def run(self) -> None:
        for customer in itertools.cycle(self.customers):
            if self.stopping.is_set():
                return
            self._get(f"/customers/{customer}", partial(self._check_customer, customer))
            self._get("/customers/count", self._check_count)

    def _get(self, path: str, check: Callable[[Json], None]) -> None:
        try:
            answer = self.http.get(path)
        except httpx.TransportError:
            self.answers[0] += 1  # the service was killed
            return
        self.answers[answer.status_code] += 1
        if answer.status_code == 200:
            check(answer.json())
        elif answer.status_code != 503:
            self.faults.append(f"{path}: {answer.status_code} {answer.text}")
        elif "retry-after" not in answer.headers:
            self.faults.append(f"{path}: 503 without Retry-After")

    def _check_customer(self, customer: int, body: Json) -> None:
        states = {number: order["state"] for number, order in body["orders"].items()}
        for number, before in self._orders.get(customer, {}).items():
            now = states.get(number)
            is_missing = now is None and (len(states) < NEWEST_ORDERS or int(number) > min(map(int, states)))
            if is_missing or (before in FINAL and now == "PENDING"):
                self.faults.append(f"order {number} was {before} and is {now}")
        self._orders[customer] = states

    def _check_count(self, body: Json) -> None:
        if body["count"] < self._count:
            self.faults.append(f"{body['count']} customers after {self._count}")
        self._count = max(self._count, body["count"])


@contextmanager
def watched(stack: Stack, reader: Reader) -> Iterator[None]:
    with ThreadPoolExecutor(1) as pool:
        reading: Future[None] = pool.submit(reader.run)
        try:
            yield
        finally:
            reader.stopping.set()
        reading.result()


@pytest.fixture
def customers(system: System) -> list[int]:
    """Customers that the history shows already."""
    made = [system.customers.create(limit=LIMIT) for _ in range(6)]
    for customer in made:
        assert_converges(system, customer)
    return made


@pytest.fixture
def workload(system: System, customers: list[int]) -> Workload:
    return Workload(system, customers)


@pytest.fixture
def reader(stack: Stack, customers: list[int]) -> Iterator[Reader]:
    with connected(stack.ports) as system:
        yield Reader(system.history.http, customers)


def rebuild(stack: Stack) -> Result:
    return Operator(stack).run("rebuild-view")


def _more_orders(workload: Workload, count: int = 10) -> None:
    enough = len(workload.placed) + count

    def check() -> None:
        assert len(workload.placed) >= enough

    eventually(check, within=RECOVERY_SECONDS)


def _generations(stack: Stack) -> Json:
    with MongoClient[Json](stack.environment("keeper")["MONGODB_URL"]) as client:
        return client.get_default_database()["generations"].find_one({"_id": "view"}) or {}


def _collections(stack: Stack) -> set[str]:
    with MongoClient[Json](stack.environment("keeper")["MONGODB_URL"]) as client:
        return set(client.get_default_database().list_collection_names())


def _assert_complete(system: System, customers: list[int]) -> None:
    for customer in customers:
        assert_converges(system, customer, within=RECOVERY_SECONDS)


def test_a_reader_never_sees_less_than_before_while_the_view_is_rebuilt(
    stack: Stack, system: System, workload: Workload, reader: Reader
) -> None:
    before = _generations(stack)["live"]
    with flowing(workload), watched(stack, reader):
        for _ in range(3):
            _more_orders(workload)
            rebuilt = rebuild(stack)
            assert rebuilt.exit_code == 0, rebuilt.output
            assert rebuilt.output.endswith("is live now\n")
        _more_orders(workload)
    assert reader.faults == []
    assert reader.answers.keys() == {200}
    _assert_complete(system, workload.customers)
    live = _generations(stack)["live"]
    assert live != before

    def old_generations_are_dropped() -> None:
        assert _collections(stack) == {"generations", f"customers_{live}", f"orders_{live}"}

    eventually(old_generations_are_dropped, within=RECOVERY_SECONDS)


def test_while_a_view_that_was_wiped_is_rebuilt_a_reader_gets_the_complete_view_or_503(
    stack: Stack, system: System, workload: Workload, reader: Reader
) -> None:
    before = _generations(stack)["live"]
    with flowing(workload), watched(stack, reader):
        _more_orders(workload)
        with MongoClient[Json](stack.environment("keeper")["MONGODB_ADMIN_URL"]) as client:
            client.drop_database("history")
        _more_orders(workload)

        def is_rebuilt() -> None:
            assert _generations(stack).get("live") not in (None, before)

        eventually(is_rebuilt, within=RECOVERY_SECONDS)
        _more_orders(workload)
    assert reader.faults == []
    assert reader.answers.keys() == {200, 503}
    _assert_complete(system, workload.customers)


def test_a_rebuild_ends_with_a_complete_view_if_the_history_is_killed_during_it(
    stack: Stack, system: System, workload: Workload, reader: Reader
) -> None:
    before = _generations(stack)["live"]
    with flowing(workload), watched(stack, reader):
        _more_orders(workload)
        with ThreadPoolExecutor(1) as pool:
            rebuilding = pool.submit(rebuild, stack)

            def is_being_built() -> None:
                assert _generations(stack)["building"] is not None

            eventually(is_being_built)
            stack.signal("history", signal.SIGKILL)
            assert rebuilding.result().exit_code == 0, rebuilding.result().output
        stack.wait_ready("history")
        _more_orders(workload)
    assert reader.faults == []
    assert reader.answers[0] > 0
    assert _generations(stack)["live"] != before
    _assert_complete(system, workload.customers)


def test_a_second_rebuild_is_refused_while_the_first_is_under_way(stack: Stack) -> None:
    stack.stop("history")
    try:
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(rebuild, stack)

            def is_being_built() -> None:
                assert _generations(stack)["building"] is not None

            eventually(is_being_built)
            second = rebuild(stack)
            stack.start("history")
            assert first.result().exit_code == 0
    finally:
        stack.start("history")
        stack.wait_ready("history")
    assert second.exit_code == 1
    assert "is being built already; wait until it is live" in second.output


def test_states_that_the_stream_has_lost_to_its_retention_are_republished_before_the_view_is_rebuilt(
    stack: Stack, system: System, customers: list[int]
) -> None:
    order = system.orders.place(customers[0], total=4)
    system.orders.settled(order)
    assert_converges(system, customers[0])
    asyncio.run(_purge_events(stack))
    rebuilt = rebuild(stack)
    assert rebuilt.exit_code == 0, rebuilt.output
    assert "order: " in rebuilt.output
    assert " states republished\n" in rebuilt.output
    assert system.history.order(order)["state"] == "APPROVED"
    _assert_complete(system, customers)


async def _purge_events(stack: Stack) -> None:
    """Deletes all events from the stream, as its retention does."""
    settings = Settings.read(stack.environment("keeper"))
    client = await connect(settings.nats_url, settings.nats_token.get_secret_value(), "test")
    try:
        await request(client, f"STREAM.PURGE.{EVENTS}")
    finally:
        await client.close()
