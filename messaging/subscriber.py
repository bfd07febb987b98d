"""A service's subscription, from start to stop: prepare its database, wait for NATS, consume."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from messaging.connection import Stream
from messaging.consumer import Consumer, ConsumerOptions, Handler
from messaging.dead_letters import DeadLetters
from messaging.pull import PullSubscription
from messaging.streams import DurableConsumer
from runtime.retrying import retry_transient


class Subscriber:
    """Runs one durable consumer, and first waits for what it needs. Implements runtime.workers.Worker.

    Args:
        stream: the connection to JetStream.
        durable: the consumer's name, subjects and limits.
        handler: applies a batch of events.
        options: how batches are taken and how errors are treated.
        prepare: makes the service's database ready for `handler`, or waits until it is.

    Attributes:
        durable, handler, options, prepare: as given.
    """

    def __init__(
        self,
        stream: Stream,
        durable: DurableConsumer,
        handler: Handler,
        options: ConsumerOptions,
        prepare: Callable[[], Awaitable[None]],
    ) -> None:
        self._stream = stream
        self.durable = durable
        self.handler = handler
        self.options = options
        self.prepare = prepare
        self._consumer: Consumer | None = None
        self._running: asyncio.Task[None] | None = None
        self._stopping = False
        self._waits_for = "the database"

    @property
    def fault(self) -> str | None:
        """Why no events are consumed."""
        return self._consumer.fault if self._consumer else f"waiting for {self._waits_for}"

    async def run(self) -> None:
        self._running = asyncio.current_task()
        async for attempt in retry_transient(self.options.transient):
            with attempt:
                await self.prepare()
        self._waits_for = "NATS"
        client = await self._stream.client()
        if self._stopping:
            return
        subscribe = partial(PullSubscription, client, self.durable)
        dead_letters = DeadLetters(client, self.durable.name)
        self._consumer = Consumer(self.durable.durable_name, subscribe, dead_letters, self.handler, self.options)
        await self._consumer.run()

    def stop(self) -> None:
        """Lets the batch in hand finish and naks the other messages. A wait for the database or NATS is cancelled."""
        self._stopping = True
        if self._consumer:
            self._consumer.stop()
        elif self._running:
            self._running.cancel()
