"""A subscriber prepares its database, waits for NATS, and then consumes. It stops at once while it waits."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from messaging import subscriber as subscriber_module
from messaging.connection import Stream
from messaging.consumer import ConsumerOptions
from messaging.dead_letters import DeadLetters
from messaging.envelope import Envelope
from messaging.streams import DurableConsumer
from messaging.subscriber import Subscriber
from tests.eventually import eventually_async, let_tasks_run
from tests.unit.messaging.stream import NoStream, OpenStream

DURABLE = DurableConsumer("order", ("events.customer.*.CreditReserved",), generation="a")


class Outage(Exception):
    """The database is away."""


class FakeConsumer:
    """Consumes until it is stopped; keeps what it was made of."""

    made: list["FakeConsumer"]

    def __init__(
        self, name: str, _subscribe: object, dead_letters: DeadLetters, handler: object, options: object
    ) -> None:
        self.name, self.dead_letters, self.handler, self.options = name, dead_letters, handler, options
        self.fault: str | None = "not started"
        self._stopping = asyncio.Event()
        self.made.append(self)

    async def run(self) -> None:
        self.fault = None
        await self._stopping.wait()

    def stop(self) -> None:
        self._stopping.set()


class NatsClient:
    def jetstream(self) -> object:
        return None


@pytest.fixture(autouse=True)
def consumers(monkeypatch: pytest.MonkeyPatch) -> list[FakeConsumer]:
    FakeConsumer.made = []
    monkeypatch.setattr(subscriber_module, "Consumer", FakeConsumer)
    return FakeConsumer.made


async def _handle(envelopes: Sequence[Envelope]) -> None:
    """Applies nothing."""


async def _ready() -> None:
    """The database is there."""


async def _never() -> None:
    await asyncio.Event().wait()


OPTIONS = ConsumerOptions((Outage,))


def _subscriber(stream: Stream, prepare: Callable[[], Awaitable[None]] = _ready) -> Subscriber:
    return Subscriber(stream, DURABLE, _handle, OPTIONS, prepare)


def _open_stream() -> OpenStream:
    client: Any = NatsClient()
    return OpenStream(client)


async def test_its_fault_says_what_it_waits_for() -> None:
    unprepared, unconnected = _subscriber(NoStream(), _never), _subscriber(NoStream())
    running = [asyncio.create_task(subscriber.run()) for subscriber in (unprepared, unconnected)]
    await let_tasks_run()
    assert (unprepared.fault, unconnected.fault) == ("waiting for the database", "waiting for NATS")
    for task in running:
        task.cancel()
    await asyncio.wait(running)


@pytest.mark.parametrize("waiting_for", ["database", "NATS"])
async def test_it_stops_at_once_while_it_waits(waiting_for: str) -> None:
    subscriber = _subscriber(NoStream(), _never if waiting_for == "database" else _ready)
    running = asyncio.create_task(subscriber.run())
    await let_tasks_run()
    subscriber.stop()
    await let_tasks_run()
    stopped = running.done()
    running.cancel()
    await asyncio.wait({running})
    assert stopped


async def test_it_retries_while_the_database_is_away(consumers: list[FakeConsumer]) -> None:
    outages = [Outage(), Outage()]

    async def prepare() -> None:
        if outages:
            raise outages.pop()

    subscriber = _subscriber(_open_stream(), prepare)
    running = asyncio.create_task(subscriber.run())
    await eventually_async(lambda: _has_no_fault(subscriber))
    assert len(consumers) == 1
    subscriber.stop()
    await running


async def _has_no_fault(subscriber: Subscriber) -> None:
    assert subscriber.fault is None


async def test_any_other_error_of_the_database_ends_it() -> None:
    async def prepare() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await _subscriber(_open_stream(), prepare).run()


async def test_it_consumes_with_its_handler_and_options_and_stores_dead_letters_under_the_services_name(
    consumers: list[FakeConsumer],
) -> None:
    subscriber = _subscriber(_open_stream())
    running = asyncio.create_task(subscriber.run())
    await let_tasks_run()
    [consumer] = consumers
    assert (consumer.name, consumer.handler, consumer.options) == ("order_a", _handle, OPTIONS)
    assert consumer.dead_letters._consumer == "order"
    consumer.fault = "the database is away"
    assert subscriber.fault == "the database is away"
    subscriber.stop()
    await running
