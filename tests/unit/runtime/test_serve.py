"""How a process serves: what the HTTP server is told."""

import gc
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette

from runtime.serve import serve
from runtime.settings import ServerSettings
from runtime.workers import GRACE_SECONDS

SETTINGS = ServerSettings(http_host="127.0.0.5", http_port=8123, log_level="warning")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the HTTP server and the log were told by `serve`."""
    told: dict[str, Any] = {}
    app = Starlette()
    threshold = gc.get_threshold()
    monkeypatch.setattr(uvicorn, "run", lambda served, **options: told.update(options, app=served))
    monkeypatch.setattr(logging, "basicConfig", lambda level, **_: told.update(level=level))
    serve(app, SETTINGS)
    assert told["app"] is app
    yield told
    gc.set_threshold(*threshold)


def test_a_process_listens_where_its_settings_say(told: dict[str, Any]) -> None:
    assert (told["host"], told["port"]) == ("127.0.0.5", 8123)


def test_a_process_ends_if_its_application_cannot_start(told: dict[str, Any]) -> None:
    assert told["lifespan"] == "on"


def test_requests_in_hand_get_as_much_time_to_end_as_the_workers(told: dict[str, Any]) -> None:
    assert told["timeout_graceful_shutdown"] == GRACE_SECONDS == 10


def test_a_process_believes_no_header_about_who_its_client_is(told: dict[str, Any]) -> None:
    assert told["proxy_headers"] is False


def test_the_log_has_the_level_of_the_settings(told: dict[str, Any]) -> None:
    assert told["level"] == "WARNING"
