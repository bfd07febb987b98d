"""The messaging side of a service, from start to stop: prepare, connect, consume."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from messaging.connection import connect
from messaging.consumer import Consumer, Handler
from messaging.dead_letters import DeadLetters
from messaging.pull import PullSubscription
from messaging.retrying import until_possible
from messaging.streams import DurableConsumer

log = logging.getLogger(__name__)


class Subscriber:
    """Runs one durable consumer of a service, waiting for whatever is not up yet.

    Args:
        nats_url, nats_token: where JetStream is.
        durable: the service's place in the stream.
        handler: applies a batch of events.
        transient: errors of the surroundings of `handler` and `prepare`, retried for ever.
        prepare: brings the service's own store into shape before the first event.
    """

    def __init__(
        self,
        nats_url: str,
        nats_token: str,
        durable: DurableConsumer,
        handler: Handler,
        transient: tuple[type[Exception], ...],
        prepare: Callable[[], Awaitable[None]],
    ) -> None:
        self._nats_url = nats_url
        self._nats_token = nats_token
        self._durable = durable
        self._handler = handler
        self._transient = transient
        self._prepare = prepare
        self._consumer: Consumer | None = None
        self._running: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Ends after `stop`, or with an error that no retry can cure."""
        self._running = asyncio.current_task()
        async for attempt in until_possible(self._transient):
            with attempt:
                await self._prepare()
        client = await connect(self._nats_url, self._nats_token, self._durable.name)
        try:
            self._consumer = Consumer(
                self._durable.name,
                partial(PullSubscription, client, self._durable),
                DeadLetters(client, self._durable.name),
                self._handler,
                self._transient,
            )
            await self._consumer.run()
        finally:
            await client.drain()

    def stop(self) -> None:
        """Lets the batch in hand end and gives back the rest; what only waits is cancelled."""
        if self._consumer:
            self._consumer.stop()
        elif self._running:
            self._running.cancel()

    async def fault(self) -> str | None:
        """Why no events are consumed, or None while they are; a readiness check."""
        return self._consumer.fault if self._consumer else "waiting for the database and NATS"
