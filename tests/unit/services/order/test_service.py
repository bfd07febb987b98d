"""The assembled order service: workers, settings, health, errors, and what the parts tell each other."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from messaging.consumer import RetryPolicy
from messaging.subscriber import Subscriber
from runtime.housekeeping import PERIOD_SECONDS, Housekeeping
from services.order.domain import OrderState, RejectionReason
from services.order.ports import Ports
from services.order.service import DEADLINE_CHECK_SECONDS, assemble
from services.order.settings import Settings
from services.order.subscriptions import DECISIONS_CONSUMER
from storage.postgres import TRANSIENT_ERRORS
from tests import builders
from tests.asgi import client_of
from tests.eventually import eventually_async, let_tasks_run
from tests.unit.messaging.stream import NoStream
from tests.unit.services.order.ports import FakeOrders
from tests.unit.storage.database import MISSING, RecordingDatabase
from web.application import Service, http_app

SETTINGS = Settings(
    http_port=0,
    database_url="",
    nats_url="",
    nats_token="",
    outbox_retention_seconds=7_200,
    idempotency_retention_seconds=3_600,
    order_deadline_seconds=90,
    attempts_unseen=7,
)
OUTAGES = [ConnectionRefusedError("5432"), TimeoutError(), asyncpg.CannotConnectNowError("starting up")]
ORDER = {"customerId": 7, "orderTotal": {"amount": 4}}
WAIT = {"Prefer": "wait=30"}


class Assembled:
    """The service over ports in memory."""

    def __init__(self, *, missing_schema: str | None = None) -> None:
        self.database, self.orders = RecordingDatabase(missing_schema=missing_schema), FakeOrders()
        self.service: Service = assemble(Ports(self.database, self.orders, NoStream()), SETTINGS)
        self.http = client_of(http_app(self.service))

    def housekeeping(self, name: str) -> Housekeeping:
        worker = self.service.workers[name]
        assert isinstance(worker, Housekeeping)
        return worker

    @property
    def subscriber(self) -> Subscriber:
        worker = self.service.workers["subscriber"]
        assert isinstance(worker, Subscriber)
        return worker

    async def place(self, key: str | None = None, total: int = 4) -> httpx.Response:
        body = {"customerId": 7, "orderTotal": {"amount": total}}
        return await self.http.post("/orders", json=body, headers={"Idempotency-Key": key} if key else {})

    async def approve(self, order_id: int = 1) -> None:
        await self.subscriber.handler([builders.envelope(builders.credit_reserved(order_id))])


@pytest.fixture
def order() -> Assembled:
    return Assembled()


async def _ready(assembled: Assembled) -> Any:
    return (await assembled.http.get("/health/ready")).json()


def _problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["detail"]


# Workers and settings


def test_its_workers_are_housekeeping_the_deadline_and_the_subscriber(order: Assembled) -> None:
    kinds = {name: type(worker) for name, worker in order.service.workers.items()}
    assert kinds == {"housekeeping": Housekeeping, "deadline": Housekeeping, "subscriber": Subscriber}


async def test_housekeeping_deletes_events_and_keys_after_the_retentions_of_the_settings(order: Assembled) -> None:
    housekeeping = order.housekeeping("housekeeping")
    assert housekeeping.period == PERIOD_SECONDS
    for chore in housekeeping.chores.values():
        await chore()
    assert sorted(order.database.asked) == [("events", timedelta(hours=2)), ("keys", timedelta(hours=1))]


async def test_the_deadline_of_the_settings_is_checked_every_second(order: Assembled) -> None:
    await order.place()
    deadline = order.housekeeping("deadline")
    assert deadline.period == DEADLINE_CHECK_SECONDS == 1.0
    assert [await chore() for chore in deadline.chores.values()] == [1]
    assert order.orders.deadlines == [timedelta(seconds=90)]
    assert order.orders.orders[1].rejection_reason is RejectionReason.TIMED_OUT


@pytest.mark.parametrize("name", ["housekeeping", "deadline"])
@pytest.mark.parametrize("outage", OUTAGES, ids=lambda error: type(error).__name__)
async def test_an_outage_postpones_chores_and_does_not_end_their_worker(
    order: Assembled, name: str, outage: Exception
) -> None:
    order.database.away = order.orders.away = outage
    housekeeping = order.housekeeping(name)
    housekeeping.period = 0.001
    running = asyncio.create_task(housekeeping.run())

    async def check() -> None:
        assert housekeeping.fault is not None

    await eventually_async(check)
    housekeeping.stop()
    await running


def test_the_subscriber_takes_credit_decisions_and_waits_for_the_schema_first(order: Assembled) -> None:
    assert order.subscriber.durable == DECISIONS_CONSUMER
    assert order.subscriber.prepare == order.database.wait_for_schema


def test_the_subscriber_retries_outages_and_unseen_orders_as_the_settings_say(order: Assembled) -> None:
    options = order.subscriber.options
    assert options.transient == TRANSIENT_ERRORS
    assert options.policy == RetryPolicy(attempts_unseen=7)
    assert options.linger is None


async def test_the_subscriber_applies_decisions_to_the_orders(order: Assembled) -> None:
    await order.place()
    await order.approve()
    assert order.orders.orders[1].state is OrderState.APPROVED


# Health and errors


async def test_before_its_schema_is_there_it_is_not_ready_and_answers_503() -> None:
    order = Assembled(missing_schema=MISSING)
    assert await _ready(order) == {
        "status": "not ready",
        "faults": {"database": MISSING, "consumer": "waiting for the database"},
    }
    assert _problem(await order.http.get("/orders/1")) == (503, MISSING)
    assert (await order.http.get("/health/live")).status_code == 200


async def test_while_its_consumer_waits_for_nats_it_is_not_ready_and_answers_requests(order: Assembled) -> None:
    running = asyncio.create_task(order.subscriber.run())
    await let_tasks_run()
    assert await _ready(order) == {"status": "not ready", "faults": {"consumer": "waiting for NATS"}}
    assert (await order.place()).status_code == 200
    order.subscriber.stop()
    await asyncio.wait({running})


async def test_while_its_database_is_away_it_is_not_ready(order: Assembled) -> None:
    order.database.away = ConnectionRefusedError("refused")
    assert (await _ready(order))["faults"]["database"] == "ConnectionRefusedError: refused"


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda error: type(error).__name__)
async def test_an_outage_of_the_database_is_answered_with_503(order: Assembled, outage: Exception) -> None:
    order.orders.away = outage
    for answer in (await order.place(), await order.http.get("/orders/1"), await order.http.post("/orders/1/cancel")):
        assert _problem(answer)[0] == 503
        assert answer.headers["retry-after"] == "1"


async def test_the_cancellation_of_a_rejected_order_is_answered_with_409(order: Assembled) -> None:
    order.orders.orders[1] = builders.order(OrderState.REJECTED, order_id=1)
    assert _problem(await order.http.post("/orders/1/cancel")) == (
        409,
        "order 1 was rejected and cannot be cancelled",
    )


async def test_a_key_that_is_used_with_another_body_is_answered_with_422(order: Assembled) -> None:
    await order.place(key="a")
    status, detail = _problem(await order.place(key="a", total=5))
    assert status == 422
    assert "another body" in detail


async def test_a_key_that_expires_at_this_moment_is_answered_with_503(order: Assembled) -> None:
    order.orders.expired = {"a"}
    answer = await order.place(key="a")
    assert _problem(answer)[0] == 503
    assert answer.headers["retry-after"] == "1"


# Fast paths: each test fails if only the fallback is left


async def test_requests_that_arrive_at_once_share_one_transaction(order: Assembled) -> None:
    answers = await asyncio.gather(*(order.place(total=total) for total in range(1, 6)))
    assert [answer.json() for answer in answers] == [{"orderId": number} for number in range(1, 6)]
    assert order.orders.statements == ["begin", "insert_orders", "append"]


async def _settle_while_waiting(order: Assembled, waiting: asyncio.Task[httpx.Response], how: str) -> Any:
    await let_tasks_run()
    assert not waiting.done()
    # From now on every read would show the order as PENDING: only an announcement can end the wait early.
    order.orders.reads_as = order.orders.orders[1]
    if how == "decision":
        await order.approve()
    elif how == "deadline":
        await order.housekeeping("deadline").chores["overdue orders"]()
    else:
        await order.http.post("/orders/1/cancel")
    await let_tasks_run()
    assert waiting.done(), "the request waits for its next look at the database"
    return (await waiting).json()["orderState"]


@pytest.mark.parametrize(
    ("how", "state"), [("decision", "APPROVED"), ("deadline", "REJECTED"), ("cancellation", "CANCELLED")]
)
async def test_a_get_that_waits_is_answered_by_the_announcement(order: Assembled, how: str, state: str) -> None:
    await order.place()
    waiting = asyncio.create_task(order.http.get("/orders/1", headers=WAIT))
    assert await _settle_while_waiting(order, waiting, how) == state
    assert order.orders.statements.count("find_order") == 1


@pytest.mark.parametrize(
    ("how", "state"), [("decision", "APPROVED"), ("deadline", "REJECTED"), ("cancellation", "CANCELLED")]
)
async def test_a_post_that_waits_is_answered_by_the_announcement_without_a_read(
    order: Assembled, how: str, state: str
) -> None:
    waiting = asyncio.create_task(order.http.post("/orders", json=ORDER, headers=WAIT))
    assert await _settle_while_waiting(order, waiting, how) == state
    assert order.orders.statements.count("find_order") == 0


async def test_a_repeated_post_that_waits_is_answered_by_a_read_at_once(order: Assembled) -> None:
    # Only a new order is surely PENDING: the order of a used key may be final long since.
    keyed = {"Idempotency-Key": "key"}
    await order.http.post("/orders", json=ORDER, headers=keyed)
    await order.approve()
    repeated = asyncio.create_task(order.http.post("/orders", json=ORDER, headers=keyed | WAIT))
    await let_tasks_run()
    assert repeated.done()
    assert (await repeated).json() == {"orderId": 1, "orderState": "APPROVED"}
