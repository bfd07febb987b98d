"""A new event type on a real stream: who receives it while old and new versions of a consumer run (CONTRIBUTING.md)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest
from nats.aio.client import Client

from contracts.registry import EventRegistry
from contracts.wire import Event, Id
from messaging.consumer import Consumer, ConsumerOptions, RetryPolicy
from messaging.dead_letters import DeadLetters
from messaging.envelope import Envelope, read_event
from messaging.progress import progress
from messaging.pull import PullSubscription
from messaging.streams import DEAD_LETTERS, DurableConsumer, subjects_of
from tests.eventually import eventually_async
from tests.integration.events import make_streams, publish, stored


class Order(Event):
    """Read: any event about an order."""

    order_id: Id


OLD = EventRegistry[Order]({"OrderCreated": Order})
NEW = EventRegistry[Order]({"OrderCreated": Order, "OrderShipped": Order})

PATIENT = RetryPolicy(attempts_unseen=50, first_delay=0.01, longest_delay=0.05)
IMPATIENT = RetryPolicy(attempts_unseen=4, first_delay=0.01, longest_delay=0.05)


class Instance:
    """One instance of a consumer, in a version that knows certain event types."""

    def __init__(self, registry: EventRegistry[Order]) -> None:
        self.durable = DurableConsumer("orders", subjects_of("order", registry), ack_wait=1.0)
        self._registry = registry
        self.handled: list[int] = []

    async def __call__(self, envelopes: Sequence[Envelope]) -> None:
        self.handled += [event.order_id for event in [read_event(e, self._registry) for e in envelopes]]


@asynccontextmanager
async def running(client: Client, instance: Instance, policy: RetryPolicy = PATIENT) -> AsyncIterator[None]:
    subscribe = partial(PullSubscription, client, instance.durable)
    options = ConsumerOptions((OSError,), policy, batch=4)
    consumer = Consumer("orders", subscribe, DeadLetters(client, "orders"), instance, options)
    task = asyncio.create_task(consumer.run())
    try:
        await eventually_async(lambda: _is_subscribed(consumer))
        yield
    finally:
        consumer.stop()
        await task


@pytest.fixture(autouse=True)
async def _streams(client: Client) -> None:
    await make_streams(client)


async def test_an_event_of_a_type_that_nobody_subscribes_to_is_delivered_to_nobody_and_delays_nobody(
    client: Client,
) -> None:
    async with running(client, old := Instance(OLD)):
        await _publish(client, "OrderShipped", range(1, 21))
        await _publish(client, "OrderCreated", [21])
        await eventually_async(lambda: _has_handled(old, [21]))
        await eventually_async(lambda: _is_done(client, old))
    assert old.handled == [21]
    assert await stored(client, DEAD_LETTERS) == []


async def test_while_old_and_new_instances_run_side_by_side_the_new_ones_handle_the_new_type(client: Client) -> None:
    async with running(client, new := Instance(NEW)), running(client, old := Instance(OLD)):
        await _publish(client, "OrderShipped", range(1, 31))
        await _publish(client, "OrderCreated", range(31, 41))
        await eventually_async(lambda: _have_handled([old, new], range(1, 41)))
        await eventually_async(lambda: _is_done(client, new))
    assert set(range(1, 31)) <= set(new.handled)
    assert await stored(client, DEAD_LETTERS) == []


async def test_a_type_that_no_running_instance_knows_any_more_is_a_dead_letter_and_the_others_are_handled(
    client: Client,
) -> None:
    async with running(client, Instance(NEW)):
        pass  # it has added its subject, and was rolled back
    async with running(client, old := Instance(OLD), IMPATIENT):
        await _publish(client, "OrderShipped", [1])
        await _publish(client, "OrderCreated", range(2, 12))
        await eventually_async(lambda: _has_handled(old, range(2, 12)))
        await eventually_async(lambda: _is_done(client, old))
    [letter] = await stored(client, DEAD_LETTERS)
    assert letter.headers is not None
    assert "OrderShipped is not an event type" in letter.headers["Dead-Letter-Error"]


async def test_an_old_instance_that_starts_again_keeps_the_subject_of_a_newer_one(client: Client) -> None:
    async with running(client, new := Instance(NEW)):
        async with running(client, Instance(OLD)):
            pass
        await _publish(client, "OrderShipped", [1])
        await eventually_async(lambda: _has_handled(new, [1]))


async def test_an_event_before_the_position_of_its_consumer_is_not_delivered_when_the_subject_is_added(
    client: Client,
) -> None:
    # This is why consumers are deployed before the writer.
    async with running(client, old := Instance(OLD)):
        await _publish(client, "OrderShipped", [1])
        await _publish(client, "OrderCreated", [2])
        await eventually_async(lambda: _has_handled(old, [2]))
        await eventually_async(lambda: _is_done(client, old))
    async with running(client, new := Instance(NEW)):
        await _publish(client, "OrderShipped", [3])
        await eventually_async(lambda: _has_handled(new, [3]))
    assert new.handled == [3]


async def _publish(client: Client, event_type: str, order_ids: Sequence[int]) -> None:
    await publish(client, [b'{"orderId": %d}' % order_id for order_id in order_ids], event_type)


async def _is_subscribed(consumer: Consumer) -> None:
    assert consumer.fault is None


async def _has_handled(instance: Instance, order_ids: Sequence[int]) -> None:
    assert set(order_ids) <= set(instance.handled)


async def _have_handled(instances: Sequence[Instance], order_ids: Sequence[int]) -> None:
    assert set(order_ids) <= {order_id for instance in instances for order_id in instance.handled}


async def _is_done(client: Client, instance: Instance) -> None:
    assert (await progress(client, instance.durable)).left == 0
