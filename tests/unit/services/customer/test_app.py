"""The customer service as a process: its real ports, and its start without any engine."""

import pytest

from messaging.connection import Connection
from services.customer import app as customer_app
from services.customer.app import create_app, open_service
from services.customer.ports import Ports
from services.customer.repository import Repository
from services.customer.settings import Settings
from storage.postgres import PostgresDatabase
from tests.asgi import client_of, started
from tests.eventually import eventually_async
from web.application import Service

SETTINGS = Settings(
    http_port=0,
    database_url="postgresql://customer:secret@127.0.0.1:1/customer",
    nats_url="nats://127.0.0.1:1",
    nats_token="secret",
)


async def test_the_real_ports_and_the_settings_go_into_assemble(monkeypatch: pytest.MonkeyPatch) -> None:
    assembled: list[tuple[Ports, Settings]] = []
    service = Service(workers={}, checks={})

    def assemble(ports: Ports, settings: Settings) -> Service:
        assembled.append((ports, settings))
        return service

    monkeypatch.setattr(customer_app, "assemble", assemble)
    async with open_service(SETTINGS) as opened:
        assert opened is service
    [(ports, settings)] = assembled
    assert settings is SETTINGS
    assert isinstance(ports.database, PostgresDatabase)
    assert isinstance(ports.customers, Repository)
    assert isinstance(ports.stream, Connection)


async def test_without_its_engines_the_application_starts_says_why_it_is_not_ready_and_stops() -> None:
    app = create_app(SETTINGS)
    async with started(app):
        assert (await client_of(app).get("/health/live")).status_code == 200
        assert (await client_of(app).get("/customers/1")).status_code == 503

        async def check() -> None:
            faults = (await client_of(app).get("/health/ready")).json()["faults"]
            assert faults["consumer"] == "waiting for the database"
            assert "ConnectionRefusedError" in faults["database"]

        await eventually_async(check)
