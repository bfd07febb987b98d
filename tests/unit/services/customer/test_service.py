"""The assembled customer service: workers, settings, health, errors, and what the parts tell each other."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from messaging.consumer import RetryPolicy
from messaging.subscriber import Subscriber
from runtime.housekeeping import PERIOD_SECONDS, Housekeeping
from services.customer.ports import Ports
from services.customer.service import assemble
from services.customer.settings import Settings
from services.customer.subscriptions import ORDERS_CONSUMER
from storage.postgres import TRANSIENT_ERRORS
from tests import builders
from tests.asgi import client_of
from tests.eventually import eventually_async
from tests.unit.messaging.stream import NoStream
from tests.unit.services.customer.ports import FakeCustomers
from tests.unit.storage.database import MISSING, RecordingDatabase
from web.application import Service, http_app

SETTINGS = Settings(
    http_port=0,
    database_url="",
    nats_url="",
    nats_token="",
    outbox_retention_seconds=7_200,
    idempotency_retention_seconds=3_600,
)
OUTAGES = [ConnectionRefusedError("5432"), TimeoutError(), asyncpg.CannotConnectNowError("starting up")]


class Assembled:
    """The service over ports in memory."""

    def __init__(self, *, missing_schema: str | None = None) -> None:
        self.database, self.customers = RecordingDatabase(missing_schema=missing_schema), FakeCustomers()
        self.service: Service = assemble(Ports(self.database, self.customers, NoStream()), SETTINGS)
        self.http = client_of(http_app(self.service))

    @property
    def housekeeping(self) -> Housekeeping:
        worker = self.service.workers["housekeeping"]
        assert isinstance(worker, Housekeeping)
        return worker

    @property
    def subscriber(self) -> Subscriber:
        worker = self.service.workers["subscriber"]
        assert isinstance(worker, Subscriber)
        return worker

    async def create(self, key: str | None = None, limit: int = 5) -> httpx.Response:
        body = {"name": "Jane Doe", "creditLimit": {"amount": limit}}
        return await self.http.post("/customers", json=body, headers={"Idempotency-Key": key} if key else {})


@pytest.fixture
def customer() -> Assembled:
    return Assembled()


async def _ready(assembled: Assembled) -> Any:
    return (await assembled.http.get("/health/ready")).json()


def _problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["detail"]


def test_its_workers_are_housekeeping_and_the_subscriber(customer: Assembled) -> None:
    kinds = {name: type(worker) for name, worker in customer.service.workers.items()}
    assert kinds == {"housekeeping": Housekeeping, "subscriber": Subscriber}


async def test_housekeeping_deletes_events_and_keys_after_the_retentions_of_the_settings(customer: Assembled) -> None:
    assert customer.housekeeping.period == PERIOD_SECONDS
    for chore in customer.housekeeping.chores.values():
        await chore()
    assert sorted(customer.database.asked) == [("events", timedelta(hours=2)), ("keys", timedelta(hours=1))]


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda error: type(error).__name__)
async def test_an_outage_postpones_chores_and_does_not_end_their_worker(customer: Assembled, outage: Exception) -> None:
    customer.database.away = outage
    customer.housekeeping.period = 0.001
    running = asyncio.create_task(customer.housekeeping.run())

    async def check() -> None:
        assert running.done() or customer.housekeeping.fault is not None

    await eventually_async(check)
    customer.housekeeping.stop()
    await running


def test_the_subscriber_takes_events_about_orders_and_waits_for_the_schema_first(customer: Assembled) -> None:
    assert customer.subscriber.durable == ORDERS_CONSUMER
    assert customer.subscriber.prepare == customer.database.wait_for_schema


def test_the_subscriber_retries_outages_and_an_order_that_another_instance_decided(customer: Assembled) -> None:
    options = customer.subscriber.options
    assert set(options.transient) == {*TRANSIENT_ERRORS, asyncpg.UniqueViolationError}
    assert (options.policy, options.linger) == (RetryPolicy(), None)


async def test_the_subscriber_decides_on_orders(customer: Assembled) -> None:
    await customer.create(limit=5)
    await customer.subscriber.handler([builders.envelope(builders.order_created(42, customer_id=1, total=400))])
    assert customer.customers.customers[1].reserved == 400


async def test_before_its_schema_is_there_it_is_not_ready_and_answers_503() -> None:
    customer = Assembled(missing_schema=MISSING)
    assert await _ready(customer) == {
        "status": "not ready",
        "faults": {"database": MISSING, "consumer": "waiting for the database"},
    }
    assert _problem(await customer.http.get("/customers/1")) == (503, MISSING)
    assert (await customer.http.get("/health/live")).status_code == 200


async def test_while_its_database_is_away_it_is_not_ready(customer: Assembled) -> None:
    customer.database.away = ConnectionRefusedError("refused")
    assert (await _ready(customer))["faults"]["database"] == "ConnectionRefusedError: refused"


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda error: type(error).__name__)
async def test_an_outage_of_the_database_is_answered_with_503(customer: Assembled, outage: Exception) -> None:
    customer.customers.away = outage
    for answer in (await customer.create(), await customer.http.get("/customers/1")):
        assert _problem(answer)[0] == 503
        assert answer.headers["retry-after"] == "1"


async def test_a_repeated_key_is_answered_with_the_first_customer(customer: Assembled) -> None:
    assert [(await customer.create(key="a")).json() for _ in range(2)] == [{"customerId": 1}] * 2


async def test_a_key_that_is_used_with_another_body_is_answered_with_422(customer: Assembled) -> None:
    await customer.create(key="a")
    status, detail = _problem(await customer.create(key="a", limit=6))
    assert status == 422
    assert "another body" in detail


async def test_a_key_that_expires_at_this_moment_is_answered_with_503(customer: Assembled) -> None:
    customer.customers.expired = {"a"}
    answer = await customer.create(key="a")
    assert _problem(answer)[0] == 503
    assert answer.headers["retry-after"] == "1"
