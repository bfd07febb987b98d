"""The assembled bridge: its worker, settings and health."""

import asyncio

import pytest

from services.bridge.ports import Ports
from services.bridge.relay import Relay
from services.bridge.service import assemble
from services.bridge.settings import Settings
from tests.asgi import client_of
from tests.eventually import let_tasks_run
from tests.unit.messaging.stream import NoStream
from tests.unit.services.bridge.ports import FakeRecords
from web.application import Service, http_app

SETTINGS = Settings(
    http_port=0,
    kafka_bootstrap_servers="",
    kafka_username="",
    kafka_password="",
    nats_url="",
    nats_token="",
    topics=("events.order", "events.probe"),
)


@pytest.fixture
def bridge() -> Service:
    return assemble(Ports(FakeRecords(), NoStream()), SETTINGS)


def _relay(bridge: Service) -> Relay:
    worker = bridge.workers["relay"]
    assert isinstance(worker, Relay)
    return worker


def test_its_only_worker_is_the_relay_of_the_topics_of_the_settings(bridge: Service) -> None:
    assert bridge.workers.keys() == {"relay"}
    assert _relay(bridge).topic_names == ["events.order", "events.probe"]


def test_by_default_it_forwards_the_topics_of_both_services_and_of_the_probe() -> None:
    default = Settings.model_fields["topics"].default
    assert default == ("events.customer", "events.order", "events.probe")


async def test_it_is_ready_unless_its_relay_has_a_fault(bridge: Service) -> None:
    http = client_of(http_app(bridge))
    assert (await http.get("/health/ready")).json()["faults"] == {"relay": "waiting for NATS"}
    _relay(bridge).fault = None
    assert (await http.get("/health/ready")).json() == {"status": "ready"}


async def test_it_has_no_routes_but_its_health(bridge: Service) -> None:
    assert (await client_of(http_app(bridge)).get("/orders")).status_code == 404


async def test_a_relay_that_waits_for_nats_stops_at_once(bridge: Service) -> None:
    running = asyncio.create_task(_relay(bridge).run())
    await let_tasks_run()
    _relay(bridge).stop()
    await let_tasks_run()
    assert running.cancelled()
