"""The assembled history service: its worker, settings, health and errors."""

from typing import Any

import httpx
import pytest
from pymongo.errors import AutoReconnect

from messaging.consumer import RetryPolicy
from messaging.subscriber import Subscriber
from services.history.generations import Generations
from services.history.ports import Ports
from services.history.service import LINGER, assemble
from services.history.settings import Settings
from services.history.subscriptions import consumer_of
from services.history.views import TRANSIENT_ERRORS, ViewUnavailable
from services.history.watch import Watch
from tests import builders
from tests.asgi import client_of
from tests.unit.messaging.stream import NoStream
from tests.unit.services.history.ports import FakeViews
from web.application import Service, http_app

SETTINGS = Settings(http_port=0, mongodb_url="", nats_url="", nats_token="", view_grace_seconds=12.5)
PATHS = ["/customers/7", "/customers/7/orders", "/customers/count", "/orders/42"]


class Assembled:
    """The service over ports in memory."""

    def __init__(self, generations: Generations) -> None:
        self.views = FakeViews(generations)
        self.service: Service = assemble(Ports(self.views, NoStream()), SETTINGS)
        self.http = client_of(http_app(self.service))

    @property
    def watch(self) -> Watch:
        worker = self.service.workers["watch"]
        assert isinstance(worker, Watch)
        return worker

    def subscriber(self, generation: str) -> Subscriber:
        subscriber = self.watch.fill(generation)
        assert isinstance(subscriber, Subscriber)
        return subscriber


@pytest.fixture
def history() -> Assembled:
    return Assembled(Generations(live="a"))


async def _ready(assembled: Assembled) -> Any:
    return (await assembled.http.get("/health/ready")).json()


def _problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["detail"]


def test_its_only_worker_is_the_watch_with_the_grace_of_the_settings(history: Assembled) -> None:
    assert {name: type(worker) for name, worker in history.service.workers.items()} == {"watch": Watch}
    assert history.watch.grace == 12.5


def test_each_generation_is_filled_by_its_own_consumer_with_a_linger(history: Assembled) -> None:
    subscriber = history.subscriber("b")
    assert subscriber.durable == consumer_of("b")
    assert subscriber.durable.durable_name == "history_b"
    assert subscriber.options.linger == LINGER
    assert (subscriber.options.transient, subscriber.options.policy) == (TRANSIENT_ERRORS, RetryPolicy())


async def test_the_subscriber_of_a_generation_prepares_and_fills_that_generation(history: Assembled) -> None:
    subscriber = history.subscriber("b")
    await subscriber.prepare()
    await subscriber.handler([builders.envelope(builders.customer_created(7))])
    assert history.views.made["b"].prepared
    assert history.views.made["b"].changes.customers.keys() == {7}
    assert history.views.made.keys() == {"b"}


async def test_it_answers_from_the_live_generation(history: Assembled) -> None:
    handle = history.subscriber("a").handler
    await handle([builders.envelope(builders.customer_created(7)), builders.envelope(builders.order_created(42, 7))])
    assert (await history.http.get("/customers/count")).json() == {"count": 1}
    assert (await history.http.get("/customers/7")).json()["orders"].keys() == {"42"}


async def test_while_the_live_generation_is_not_filled_it_is_not_ready(history: Assembled) -> None:
    assert await _ready(history) == {"status": "not ready", "faults": {"view": history.watch.fault}}
    assert history.watch.fault is not None


async def test_while_the_first_view_is_built_it_is_not_ready_and_answers_503() -> None:
    history = Assembled(Generations(building="a"))
    assert (await _ready(history))["faults"] == {"view": "the view is being built"}
    for path in PATHS:
        answer = await history.http.get(path)
        assert _problem(answer) == (503, "the view is being built; try again")
        assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("outage", [AutoReconnect("refused"), ViewUnavailable("shutting down")])
async def test_an_outage_of_mongodb_is_answered_with_503(history: Assembled, outage: Exception) -> None:
    history.views.away = outage
    for path in PATHS:
        answer = await history.http.get(path)
        assert _problem(answer)[0] == 503
        assert answer.headers["retry-after"] == "1"


async def test_while_mongodb_is_away_it_is_not_ready(history: Assembled) -> None:
    history.views.away = AutoReconnect("refused")
    assert (await _ready(history))["faults"]["database"] == "AutoReconnect: refused"
