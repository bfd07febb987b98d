"""The bridge as a process: its real ports, and its start without any engine."""

import pytest

from messaging.connection import Connection
from services.bridge import app as bridge_app
from services.bridge import kafka
from services.bridge.app import create_app, open_service
from services.bridge.kafka import KafkaRecords
from services.bridge.ports import Ports
from services.bridge.settings import Settings
from tests.asgi import client_of, started
from web.application import Service

SETTINGS = Settings(
    http_port=0,
    kafka_bootstrap_servers="127.0.0.1:1",
    kafka_username="bridge",
    kafka_password="secret",
    nats_url="nats://127.0.0.1:1",
    nats_token="secret",
)


@pytest.fixture(autouse=True)
def _no_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client library would try to connect, and log each failure, for as long as this process lives."""
    monkeypatch.setattr(kafka, "AdminClient", lambda _: None)


async def test_the_real_ports_and_the_settings_go_into_assemble(monkeypatch: pytest.MonkeyPatch) -> None:
    assembled: list[tuple[Ports, Settings]] = []
    service = Service(workers={}, checks={})

    def assemble(ports: Ports, settings: Settings) -> Service:
        assembled.append((ports, settings))
        return service

    monkeypatch.setattr(bridge_app, "assemble", assemble)
    async with open_service(SETTINGS) as opened:
        assert opened is service
    [(ports, settings)] = assembled
    assert settings is SETTINGS
    assert isinstance(ports.records, KafkaRecords)
    assert isinstance(ports.stream, Connection)


async def test_without_its_engines_the_application_starts_says_why_it_is_not_ready_and_stops() -> None:
    app = create_app(SETTINGS)
    async with started(app):
        assert (await client_of(app).get("/health/live")).status_code == 200
        assert (await client_of(app).get("/health/ready")).json()["faults"] == {"relay": "waiting for NATS"}
