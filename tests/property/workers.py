"""The services' workers: real consumers on real subscriptions, for one batch or until they are stopped.

Each has the durable consumer, the handler and the options of the subscriber that its service's `assemble` made. A batch
is taken before anything is done with it. So a test can have several workers with a batch in hand, and let them process
it at the same time, give it back, or end between the commit and the ack.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from messaging.consumer import Consumer, ConsumerOptions, Handler, RetryPolicy
from messaging.dead_letters import DeadLetters
from messaging.envelope import Envelope
from messaging.progress import progress
from messaging.pull import NAK, Delivery, PullSubscription
from messaging.streams import DurableConsumer, delete_consumer, ensure_consumer
from tests.eventually import eventually_async
from tests.property.world import NAMES, World

ACK_WAIT_SECONDS = 3_600.0
"""A message is redelivered only by a nak: nothing here depends on how fast the machine is."""

# No message may fail by itself here: the first failure makes a dead letter, and a dead letter is a violation.
NO_RETRIES = RetryPolicy(attempts=1, attempts_unseen=1)

DRAIN_BATCH = 16
ROUNDS = 100
PAUSE_SECONDS = 0.002

Request = Callable[[], Awaitable[object]]


class Killed(BaseException):
    """The process of a worker ends; nothing in it can catch that."""


@dataclass(frozen=True, slots=True)
class Consuming:
    """The consuming side of a service."""

    durable: DurableConsumer
    handler: Handler
    options: ConsumerOptions


@dataclass(frozen=True, slots=True)
class Worker:
    """One process of a service, with a batch that it has taken and not processed yet."""

    name: str
    consumer: Consumer
    subscription: PullSubscription
    hand: Sequence[Delivery]

    async def work(self) -> None:
        await self.consumer.process(self.hand)


class Workers:
    """The workers of all services; those of one service share its durable consumer."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def work_at_once(self, shares: Sequence[tuple[str, int]], *requests: Request) -> None:
        """Workers take a batch each; then all of them and the requests run at the same time.

        Args:
            shares: the service and the batch size of each worker.
        """
        async with self._hands_full(shares) as workers:
            left = {name: await self._outstanding(name) for name, _ in shares}
            for worker in workers:
                left[worker.name] -= len(worker.hand)
            outcomes = await asyncio.gather(
                *(act() for act in [*requests, *(w.work for w in workers)]), return_exceptions=True
            )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        await eventually_async(partial(self._require_outstanding, left), pause=PAUSE_SECONDS)

    async def give_back(self, name: str, size: int) -> None:
        """A worker takes a batch and is stopped before it processes it."""
        async with self._hands_full([(name, size)]) as workers:
            pass
        await self._deliver_again(workers)

    async def die_unacknowledged(self, name: str, size: int) -> None:
        """A worker takes a batch, commits, and is killed before its ack."""
        async with self._hands_full([(name, size)], killed_after_commit=True) as workers:
            with suppress(Killed):
                await workers[0].work()
        await self._deliver_again(workers)

    async def start_over(self, name: str) -> None:
        """A service loses its position in the stream and reads it from the beginning."""
        durable = self._consuming(name).durable
        await ensure_consumer(self._world.client, durable)
        await delete_consumer(self._world.client, durable.stream, durable.durable_name)

    async def run(self, workers: int, size: int) -> None:
        """All services run with so many workers each, as in production, until no event is on its way."""
        consumers = [self._consumer(self._consuming(name), size) for name in NAMES for _ in range(workers)]
        running = asyncio.gather(*(consumer.run() for consumer in consumers))
        try:
            await eventually_async(self._publish_and_require_quiet, pause=PAUSE_SECONDS)
        finally:
            for consumer in consumers:
                consumer.stop()
            await running

    async def drain(self) -> None:
        """The same, one batch after the other: the outcome does not depend on which worker is faster."""
        for _ in range(ROUNDS):
            await self._world.publish()
            for name in NAMES:
                await self.work_at_once([(name, DRAIN_BATCH)])
            if not await self._world.unsent() and not any([await self._outstanding(name) for name in NAMES]):
                return
        raise AssertionError(f"events are on their way after {ROUNDS} rounds")

    async def _publish_and_require_quiet(self) -> None:
        await self._world.publish()
        # A consumer that has acknowledged everything has committed what it caused: nothing can come after this.
        await self._require_outstanding(dict.fromkeys(NAMES, 0))
        assert await self._world.unsent() == []

    def _consuming(self, name: str) -> Consuming:
        subscriber = self._world.subscriber(name)
        durable = replace(subscriber.durable, ack_wait=ACK_WAIT_SECONDS)
        return Consuming(durable, subscriber.handler, replace(subscriber.options, policy=NO_RETRIES))

    @asynccontextmanager
    async def _hands_full(
        self, shares: Sequence[tuple[str, int]], *, killed_after_commit: bool = False
    ) -> AsyncIterator[list[Worker]]:
        """Workers that have taken a batch each, of so many messages at most; the first one has the first messages."""
        available = {name: await self._outstanding(name) for name, _ in shares}
        async with AsyncExitStack() as opened:
            workers = []
            for name, size in shares:
                consuming = self._consuming(name)
                if killed_after_commit:
                    consuming = replace(consuming, handler=_killed_after(consuming.handler))
                workers.append(await self._open(opened, name, consuming, size, available[name]))
                available[name] -= len(workers[-1].hand)
            yield workers

    async def _open(self, opened: AsyncExitStack, name: str, consuming: Consuming, size: int, available: int) -> Worker:
        # A window of one batch: what does not fit into this worker's batch is for the next one.
        subscription = PullSubscription(self._world.client, consuming.durable, window=size)
        await opened.enter_async_context(subscription)

        async def has_arrived() -> None:
            assert len(subscription._arrived) == min(size, available)

        await eventually_async(has_arrived, pause=PAUSE_SECONDS)
        hand = await subscription.take(size) if available else []
        return Worker(name, self._consumer(consuming, size), subscription, hand)

    async def _deliver_again(self, workers: Sequence[Worker]) -> None:
        """As if the ack wait of these workers' messages were over."""
        for worker in workers:
            for delivery in worker.hand:
                # As a request: the answer comes when the server has taken the nak.
                await self._world.client.request(delivery.reply, NAK)

    def _consumer(self, consuming: Consuming, size: int) -> Consumer:
        client, durable = self._world.client, consuming.durable
        subscribe = partial(PullSubscription, client, durable, window=size)  # the rest is for the other workers
        options = replace(consuming.options, batch=size)
        return Consumer(durable.durable_name, subscribe, DeadLetters(client, durable.name), consuming.handler, options)

    async def _require_outstanding(self, expected: Mapping[str, int]) -> None:
        assert {name: await self._outstanding(name) for name in expected} == expected

    async def _outstanding(self, name: str) -> int:
        """How many messages a service has not acknowledged yet, delivered or not."""
        durable = self._consuming(name).durable
        await ensure_consumer(self._world.client, durable)
        return (await progress(self._world.client, durable)).left


def _killed_after(handler: Handler) -> Handler:
    async def handle(batch: Sequence[Envelope]) -> None:
        await handler(batch)
        raise Killed

    return handle
