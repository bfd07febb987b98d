"""A consumer opens its subscription again whenever it is lost, and says why it has none. On a virtual clock."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Self

import pytest

from messaging.consumer import REOPEN_SECONDS, Consumer, ConsumerOptions
from messaging.dead_letters import DeadLetters
from messaging.envelope import Envelope
from messaging.errors import SubscriptionLost
from messaging.pull import PullSubscription
from tests.simulation.clock import VirtualLoop, pass_time


class Server:
    """Lets a consumer subscribe, unless an error is scripted for the attempt; a subscription has no messages.

    Attributes:
        attempts: when the consumer tried to subscribe, and its fault at that moment.
    """

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self._lost: asyncio.Queue[Exception | None] = asyncio.Queue()
        self.attempts: list[tuple[float, str | None]] = []
        self.consumer = self._consumer()

    def _consumer(self) -> Consumer:
        client: Any = self

        async def handler(envelopes: Sequence[Envelope]) -> None:
            raise AssertionError(f"there are no messages: {envelopes}")

        return Consumer("order", self._subscribe, DeadLetters(client, "order"), handler, ConsumerOptions(()))

    def jetstream(self) -> None:
        """No dead letter is stored here."""

    def _subscribe(self) -> PullSubscription:
        subscription: Any = self
        return subscription  # type: ignore[no-any-return]

    async def __aenter__(self) -> Self:
        self.attempts.append((asyncio.get_running_loop().time(), self.consumer.fault))
        if self._errors:
            raise self._errors.pop(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is left to nak."""

    async def take(self, limit: int) -> list[Any]:  # noqa: ARG002
        error = await self._lost.get()
        if error:
            raise error
        return []

    def stop(self) -> None:
        """Wakes a `take` that waits, as the real one does."""
        self._lost.put_nowait(None)

    def lose(self, error: Exception) -> None:
        self._lost.put_nowait(error)


async def _stopped(server: Server, running: asyncio.Task[None]) -> None:
    server.consumer.stop()
    await asyncio.wait_for(running, timeout=1.0)


def test_while_it_cannot_subscribe_the_error_is_the_fault_and_it_tries_again() -> None:
    async def run() -> None:
        server = Server(ConnectionError("away"), TimeoutError("silent"))
        running = asyncio.create_task(server.consumer.run())
        await pass_time(2 * REOPEN_SECONDS + 0.1)
        assert server.attempts == [
            (0.0, "not started"),
            (REOPEN_SECONDS, "ConnectionError: away"),
            (2 * REOPEN_SECONDS, "TimeoutError: silent"),
        ]
        assert server.consumer.fault is None
        await _stopped(server, running)

    VirtualLoop().run(run())


def test_a_lost_subscription_is_the_fault_until_it_is_open_again() -> None:
    async def run() -> None:
        server = Server()
        running = asyncio.create_task(server.consumer.run())
        await pass_time(1.0)
        faults = [server.consumer.fault]
        server.lose(SubscriptionLost("the connection was replaced"))
        for _ in range(2):
            await pass_time(REOPEN_SECONDS * 0.75)
            faults.append(server.consumer.fault)
        assert faults == [None, "SubscriptionLost: the connection was replaced", None]
        await _stopped(server, running)

    VirtualLoop().run(run())


def test_a_fault_that_lasts_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="messaging.consumer")

    async def run() -> None:
        server = Server(*(ConnectionError("away") for _ in range(3)), TimeoutError("silent"))
        running = asyncio.create_task(server.consumer.run())
        await pass_time(10 * REOPEN_SECONDS)
        await _stopped(server, running)

    VirtualLoop().run(run())
    assert caplog.messages == [
        "order: not subscribed: ConnectionError: away",
        "order: not subscribed: TimeoutError: silent",
    ]


def test_an_error_that_is_no_lost_subscription_ends_it() -> None:
    async def run() -> None:
        with pytest.raises(KeyError):
            await Server(KeyError("a bug")).consumer.run()

    VirtualLoop().run(run())


@pytest.mark.parametrize("errors", [[], [ConnectionError("away")]], ids=["subscribed", "not subscribed"])
def test_stop_ends_it_at_once(errors: list[Exception]) -> None:
    async def run() -> None:
        server = Server(*errors)
        running = asyncio.create_task(server.consumer.run())
        await pass_time(REOPEN_SECONDS / 2)
        server.consumer.stop()
        await asyncio.wait_for(running, timeout=0.01)

    VirtualLoop().run(run())


def test_a_consumer_that_was_stopped_before_its_start_subscribes_to_nothing() -> None:
    async def run() -> None:
        server = Server()
        server.consumer.stop()
        await server.consumer.run()
        assert server.attempts == []

    VirtualLoop().run(run())
