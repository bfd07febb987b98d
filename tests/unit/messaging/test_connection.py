"""The connection is opened in the background, so a service starts before its NATS server."""

import asyncio
from collections.abc import Callable
from typing import Any

import nats.errors
import pytest

from messaging import connection as connection_module
from messaging.connection import connect, open_connection
from tests.eventually import let_tasks_run


class FakeClient:
    """Writes down what is done with it.

    Attributes:
        is_connected: whether the server is there.
        hangs: whether the server is there and does not answer.
    """

    def __init__(self) -> None:
        self.is_connected = True
        self.hangs = False
        self.calls: list[str] = []

    async def flush(self, _seconds: float) -> None:
        self.calls.append("flush")
        if self.hangs:
            raise nats.errors.FlushTimeoutError

    async def close(self) -> None:
        self.calls.append("close")
        if self.hangs:
            await asyncio.Event().wait()


class Server:
    """Lets clients connect when it is up."""

    def __init__(self) -> None:
        self.up = asyncio.Event()
        self.client = FakeClient()
        self.asked: list[tuple[str, str, str]] = []

    async def connect(self, url: str, token: str, name: str) -> FakeClient:
        self.asked.append((url, token, name))
        await self.up.wait()
        return self.client


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Server]:
    def start() -> Server:
        server = Server()
        monkeypatch.setattr(connection_module, "connect", server.connect)
        return server

    return start


async def test_whoever_asks_before_the_server_is_up_gets_the_client_when_it_is(server: Callable[[], Server]) -> None:
    nats = server()
    async with open_connection("nats://127.0.0.1:1", "token", "order") as stream:
        asking = [asyncio.create_task(stream.client()) for _ in range(2)]
        await let_tasks_run()
        assert not any(task.done() for task in asking)
        nats.up.set()
        clients: list[Any] = await asyncio.gather(*asking)
        assert clients == [nats.client] * 2
    assert nats.asked == [("nats://127.0.0.1:1", "token", "order")]


async def test_one_that_stops_waiting_does_not_stop_the_opening_for_the_others(server: Callable[[], Server]) -> None:
    nats = server()
    async with open_connection("nats://127.0.0.1:1", "token", "order") as stream:
        impatient, patient = (asyncio.create_task(stream.client()) for _ in range(2))
        await let_tasks_run()
        impatient.cancel()
        await asyncio.wait({impatient})
        nats.up.set()
        client: Any = await patient
        assert client is nats.client


async def test_an_open_connection_is_flushed_and_closed_at_the_end(server: Callable[[], Server]) -> None:
    nats = server()
    nats.up.set()
    async with open_connection("nats://127.0.0.1:1", "token", "order") as stream:
        await stream.client()
    assert nats.client.calls == ["flush", "close"]


async def test_a_connection_whose_server_is_away_at_the_end_is_closed_without_an_error(
    server: Callable[[], Server],
) -> None:
    nats = server()
    nats.up.set()
    async with open_connection("nats://127.0.0.1:1", "token", "order") as stream:
        await stream.client()
        nats.client.is_connected = False
    assert nats.client.calls == ["close"]


async def test_a_connection_whose_server_hangs_at_the_end_is_given_up(
    server: Callable[[], Server], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection_module, "CLOSE_SECONDS", 0.01)
    nats = server()
    nats.up.set()
    async with open_connection("nats://127.0.0.1:1", "token", "order") as stream:
        await stream.client()
        nats.client.hangs = True
    assert nats.client.calls == ["flush", "close"]
    assert "NATS does not answer" in caplog.text


async def test_an_opening_that_still_waits_is_cancelled_at_the_end(server: Callable[[], Server]) -> None:
    nats = server()
    async with open_connection("nats://127.0.0.1:1", "token", "order"):
        await let_tasks_run()
    assert nats.client.calls == []
    assert [task for task in asyncio.all_tasks() if task.get_name() == "connection to NATS"] == []


async def test_a_server_that_falls_silent_is_noticed_within_a_quarter_of_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, Any] = {}

    class Library:
        async def connect(self, url: str, **options: Any) -> None:
            asked.update(options, url=url)

    monkeypatch.setattr(connection_module, "Client", Library)
    await connect("nats://127.0.0.1:1", "token", "order")
    assert asked["ping_interval"] * (asked["max_outstanding_pings"] + 1) <= 15  # seconds; the library's default is 360
    assert asked["max_reconnect_attempts"] == -1
