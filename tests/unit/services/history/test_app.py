"""The history service as a process: its real ports, and its start without any engine."""

import pytest

from messaging.connection import Connection
from services.history import app as history_app
from services.history.app import create_app, open_service
from services.history.ports import Ports
from services.history.settings import Settings
from services.history.views import Views
from tests.asgi import client_of, started
from web.application import Service

SETTINGS = Settings(
    http_port=0,
    mongodb_url="mongodb://history:secret@127.0.0.1:1/history",
    nats_url="nats://127.0.0.1:1",
    nats_token="secret",
)


async def test_the_real_ports_and_the_settings_go_into_assemble(monkeypatch: pytest.MonkeyPatch) -> None:
    assembled: list[tuple[Ports, Settings]] = []
    service = Service(workers={}, checks={})

    def assemble(ports: Ports, settings: Settings) -> Service:
        assembled.append((ports, settings))
        return service

    monkeypatch.setattr(history_app, "assemble", assemble)
    async with open_service(SETTINGS) as opened:
        assert opened is service
    [(ports, settings)] = assembled
    assert settings is SETTINGS
    assert isinstance(ports.views, Views)
    assert isinstance(ports.stream, Connection)


async def test_the_client_of_mongodb_is_open_while_the_service_is_and_closed_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed: list[Views] = []
    close = Views.close

    def note_and_close(views: Views) -> None:
        closed.append(views)
        close(views)

    monkeypatch.setattr(Views, "close", note_and_close)
    async with open_service(SETTINGS):
        assert closed == []
    assert len(closed) == 1


async def test_without_its_engines_the_application_starts_says_that_it_is_not_ready_and_stops() -> None:
    app = create_app(SETTINGS)
    async with started(app):
        assert (await client_of(app).get("/health/live")).status_code == 200
        faults = (await client_of(app).get("/health/ready")).json()["faults"]
        assert faults.keys() == {"database", "view"}
