"""The services' workers: real consumers on real subscriptions, for one batch or for as long as it takes.

A batch is taken before anything is done with it. So a test can have several workers with their hands full, and let
them go at once, let go of it, or end between the commit and the ack.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from messaging.consumer import Consumer, Handler, RetryPolicy
from messaging.dead_letters import DeadLetters
from messaging.envelope import Envelope
from messaging.pull import NAK, Delivery, PullSubscription
from messaging.streams import DurableConsumer, delete_consumer, ensure_consumer, request
from services.customer.app import HANDLER_TRANSIENT as CUSTOMER_FAULTS
from services.customer.handlers import handle_order_events
from services.customer.subscriptions import ORDERS
from services.history.handlers import handle_events
from services.history.subscriptions import EVERYTHING
from services.history.views import TRANSIENT_ERRORS as VIEW_FAULTS
from services.order.handlers import handle_credit_decisions
from services.order.subscriptions import CREDIT_DECISIONS
from storage.postgres import TRANSIENT_ERRORS as POSTGRES_FAULTS
from tests.eventually import eventually_async
from tests.property.world import World

ACK_WAIT_SECONDS = 3_600.0
"""What has to come again is given back: nothing here depends on how fast the machine is."""

# Nothing here may fail by itself: the first time is a dead letter, and a violation.
IMPATIENT = RetryPolicy(attempts=1, attempts_unseen=1)

DRAIN_BATCH = 16
ROUNDS = 100
PAUSE_SECONDS = 0.002

Request = Callable[[], Awaitable[object]]


class Killed(BaseException):
    """The process of a worker ends; nothing in it can catch that."""


@dataclass(frozen=True, slots=True)
class Service:
    """The consuming side of a service, as its app puts it together."""

    durable: DurableConsumer
    handler: Handler
    faults: tuple[type[Exception], ...]

    @property
    def name(self) -> str:
        return self.durable.name


@dataclass(frozen=True, slots=True)
class Worker:
    """One process of a service, with the batch that it has taken and not begun with."""

    service: Service
    consumer: Consumer
    subscription: PullSubscription
    hand: Sequence[Delivery]

    async def work(self) -> None:
        await self.consumer.process(self.hand)


class Workers:
    """The workers of all services; those of one share its durable consumer.

    Attributes:
        services: by name.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        to_order = partial(handle_credit_decisions, world.order_repository, world.waiting)
        services = (
            Service(ORDERS, partial(handle_order_events, world.customer_repository), CUSTOMER_FAULTS),
            Service(CREDIT_DECISIONS, to_order, POSTGRES_FAULTS),
            Service(EVERYTHING, partial(handle_events, world.view), VIEW_FAULTS),
        )
        self.services: Mapping[str, Service] = {
            service.name: replace(service, durable=replace(service.durable, ack_wait=ACK_WAIT_SECONDS))
            for service in services
        }

    async def work_at_once(self, shares: Sequence[tuple[str, int]], *requests: Request) -> None:
        """Workers take a batch each, and then all of them and the requests go at once.

        Args:
            shares: the service and the batch size of each worker.
        """
        async with self._hands_full([(self.services[name], size) for name, size in shares]) as workers:
            left = {name: await self._outstanding(name) for name, _ in shares}
            for worker in workers:
                left[worker.service.name] -= len(worker.hand)
            ends = await asyncio.gather(
                *(act() for act in [*requests, *(w.work for w in workers)]), return_exceptions=True
            )
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        await eventually_async(partial(self._require_outstanding, left), pause=PAUSE_SECONDS)

    async def give_back(self, name: str, size: int) -> None:
        """A worker takes a batch and is stopped before it begins."""
        async with self._hands_full([(self.services[name], size)]) as workers:
            pass
        await self._deliver_again(workers)

    async def die_unacknowledged(self, name: str, size: int) -> None:
        """A worker takes a batch, commits, and is killed before its ack."""
        service = self.services[name]
        async with self._hands_full([(replace(service, handler=_killed_after(service.handler)), size)]) as workers:
            with suppress(Killed):
                await workers[0].work()
        await self._deliver_again(workers)

    async def start_over(self, name: str) -> None:
        """A service loses its place in the stream and reads it from the beginning."""
        durable = self.services[name].durable
        await ensure_consumer(self._world.client, durable)
        await delete_consumer(self._world.client, durable.stream, name)

    async def run(self, workers: int, size: int) -> None:
        """All services run with so many workers each, as in production, until no event is on its way any more."""
        consumers = [self._consumer(service, size) for service in self.services.values() for _ in range(workers)]
        running = asyncio.gather(*(consumer.run() for consumer in consumers))
        try:
            await eventually_async(self._publish_and_require_quiet, pause=PAUSE_SECONDS)
        finally:
            for consumer in consumers:
                consumer.stop()
            await running

    async def drain(self) -> None:
        """The same, one batch after the other: so it does not depend on who is faster."""
        for _ in range(ROUNDS):
            await self._world.publish()
            for name in self.services:
                await self.work_at_once([(name, DRAIN_BATCH)])
            if not await self._world.unsent() and not any([await self._outstanding(name) for name in self.services]):
                return
        raise AssertionError(f"events are on their way after {ROUNDS} rounds")

    async def _publish_and_require_quiet(self) -> None:
        await self._world.publish()
        # Who has acknowledged everything has committed what it caused: nothing can come after this.
        await self._require_outstanding(dict.fromkeys(self.services, 0))
        assert await self._world.unsent() == []

    @asynccontextmanager
    async def _hands_full(self, shares: Sequence[tuple[Service, int]]) -> AsyncIterator[list[Worker]]:
        """Workers that have taken a batch each, of so many messages at most: the first has the first ones."""
        there = {service.name: await self._outstanding(service.name) for service, _ in shares}
        async with AsyncExitStack() as opened:
            workers = []
            for service, size in shares:
                workers.append(await self._open(opened, service, size, there[service.name]))
                there[service.name] -= len(workers[-1].hand)
            yield workers

    async def _open(self, opened: AsyncExitStack, service: Service, size: int, there: int) -> Worker:
        # A window of one batch: what does not fit into this worker's hand is for the next one.
        subscription = PullSubscription(self._world.client, service.durable, window=size)
        await opened.enter_async_context(subscription)

        async def has_arrived() -> None:
            assert len(subscription._arrived) == min(size, there)

        await eventually_async(has_arrived, pause=PAUSE_SECONDS)
        hand = await subscription.take(size) if there else []
        return Worker(service, self._consumer(service, size), subscription, hand)

    async def _deliver_again(self, workers: Sequence[Worker]) -> None:
        """As if the ack wait of what these workers held were over."""
        for worker in workers:
            for delivery in worker.hand:
                # With an answer, which comes when the server has done it.
                await self._world.client.request(delivery.reply, NAK)

    def _consumer(self, service: Service, size: int) -> Consumer:
        client, durable = self._world.client, service.durable
        subscribe = partial(PullSubscription, client, durable, window=size)  # the rest is for the other workers
        dead_letters = DeadLetters(client, durable.name)
        return Consumer(durable.name, subscribe, dead_letters, service.handler, service.faults, IMPATIENT, size)

    async def _require_outstanding(self, expected: Mapping[str, int]) -> None:
        assert {name: await self._outstanding(name) for name in expected} == expected

    async def _outstanding(self, name: str) -> int:
        """How many messages a service has not acknowledged yet, delivered or not."""
        durable = self.services[name].durable
        await ensure_consumer(self._world.client, durable)
        info = await request(self._world.client, f"CONSUMER.INFO.{durable.stream}.{name}")
        return int(info["num_pending"] + info["num_ack_pending"])


def _killed_after(handler: Handler) -> Handler:
    async def handle(batch: Sequence[Envelope]) -> None:
        await handler(batch)
        raise Killed

    return handle
