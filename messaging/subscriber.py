"""The messaging side of a service, from start to stop: prepare, connect, consume."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from nats.aio.client import Client

from messaging.connection import connect
from messaging.consumer import Consumer, Handler, RetryPolicy
from messaging.dead_letters import DeadLetters
from messaging.pace import Pace
from messaging.pull import PullSubscription
from messaging.retrying import until_possible
from messaging.streams import DurableConsumer


class Subscriber:
    """Runs one durable consumer of a service, waiting for whatever is not up yet.

    Args:
        nats_url, nats_token: where JetStream is.
        name: the service's, for the connection.
        prepare: brings the service's own store into shape, and tells the place in the stream that
            belongs to it.
        handler: applies a batch of events.
        transient: errors of the surroundings of `handler` and `prepare`, retried for ever.
        policy: how long a message may fail.
        pace: how soon one batch may follow another.
    """

    def __init__(
        self,
        nats_url: str,
        nats_token: str,
        name: str,
        prepare: Callable[[], Awaitable[DurableConsumer]],
        handler: Handler,
        transient: tuple[type[Exception], ...],
        policy: RetryPolicy | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._nats_url = nats_url
        self._nats_token = nats_token
        self._name = name
        self._prepare = prepare
        self._handler = handler
        self._transient = transient
        self._policy = policy
        self._pace = pace
        self._consumer: Consumer | None = None
        self._running: asyncio.Task[None] | None = None
        self._stopping = False

    async def run(self) -> None:
        """Ends after `stop`, or with an error that no retry can cure."""
        self._running = asyncio.current_task()
        client = await connect(self._nats_url, self._nats_token, self._name)
        try:
            async for attempt in until_possible(self._transient):
                with attempt:
                    durable = await self._prepare()
            if not self._stopping:
                await self._consume(client, durable)
        finally:
            await client.drain()

    async def _consume(self, client: Client, durable: DurableConsumer) -> None:
        subscribe = partial(PullSubscription, client, durable)
        dead_letters = DeadLetters(client, durable.name)
        name = durable.durable_name
        self._consumer = Consumer(
            name, subscribe, dead_letters, self._handler, self._transient, self._policy, pace=self._pace
        )
        await self._consumer.run()

    def stop(self) -> None:
        """Lets the batch in hand end and gives back the rest; what only waits is cancelled."""
        self._stopping = True
        if self._consumer:
            self._consumer.stop()
        elif self._running:
            self._running.cancel()

    async def fault(self) -> str | None:
        """Why no events are consumed, or None while they are; a readiness check."""
        return self._consumer.fault if self._consumer else "waiting for the database and NATS"
