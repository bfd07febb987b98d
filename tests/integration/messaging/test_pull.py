"""The pull subscription on a real NATS server: what tests/behaviour/test_pulling.py does not state."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from nats.aio.client import Client

from messaging.errors import SubscriptionLost
from messaging.pull import PullSubscription
from messaging.streams import EVENTS, DurableConsumer, request
from tests.engines import NatsServer
from tests.eventually import eventually_async
from tests.integration.events import make_streams, publish, take_and_ack

ORDERS = DurableConsumer("orders", ("events.order.*.*",), ack_wait=3_600.0)
IMPATIENT = replace(ORDERS, ack_wait=0.6)


@pytest.fixture(autouse=True)
async def _streams(client: Client) -> None:
    await make_streams(client)


async def _info(client: Client) -> dict[str, Any]:
    return await request(client, f"CONSUMER.INFO.{EVENTS}.orders")


async def test_a_backlog_is_taken_in_full_batches_in_order(client: Client) -> None:
    payloads = [b"%d" % number for number in range(300)]
    await publish(client, payloads)
    async with PullSubscription(client, ORDERS, window=400) as subscription:

        async def check() -> None:
            assert len(subscription._arrived) == 300

        await eventually_async(check)
        batches = [await subscription.take(100) for _ in range(3)]
    assert [len(batch) for batch in batches] == [100, 100, 100]
    assert [delivery.payload for batch in batches for delivery in batch] == payloads


async def test_a_backlog_larger_than_the_window_is_delivered_completely(client: Client) -> None:
    payloads = [b"%d" % number for number in range(100)]
    await publish(client, payloads)
    async with PullSubscription(client, ORDERS, window=8) as subscription:
        assert await take_and_ack(subscription, 100) == payloads


async def test_with_a_full_window_nothing_more_is_requested(client: Client) -> None:
    await publish(client, [b"%d" % number for number in range(10)])
    ahead = []
    async with PullSubscription(client, ORDERS, window=1) as subscription:
        for _ in range(9):
            await take_and_ack(subscription, 1)
            await _info(client)  # a request for more would have been answered by now
            ahead.append(len(subscription._arrived))
    assert max(ahead) == 0


async def test_a_cancelled_take_has_taken_nothing(client: Client) -> None:
    async with PullSubscription(client, ORDERS) as subscription:
        taking = asyncio.create_task(subscription.take(1))
        await asyncio.wait({taking}, timeout=0)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        await publish(client, [b"1"])
        assert await take_and_ack(subscription, 1) == [b"1"]


async def test_a_server_that_was_stopped_keeps_the_position(client: Client, nats_server: NatsServer) -> None:
    await publish(client, [b"1", b"2"])
    await _take_one_and_restart(client, nats_server, nats_server.stop)
    async with PullSubscription(client, IMPATIENT) as subscription:
        assert await take_and_ack(subscription, 1) == [b"2"]


async def test_a_server_that_was_killed_redelivers_at_most_what_was_acked(
    client: Client, nats_server: NatsServer
) -> None:
    await publish(client, [b"1", b"2"])
    await _take_one_and_restart(client, nats_server, nats_server.kill)
    async with PullSubscription(client, IMPATIENT) as subscription:
        taken: list[bytes] = []
        while b"2" not in taken:
            taken += await take_and_ack(subscription, 1)


async def test_an_ack_of_a_lost_subscription_is_not_sent(client: Client) -> None:
    await publish(client, [b"1"])
    async with PullSubscription(client, IMPATIENT) as subscription:
        [delivery] = await subscription.take(1)
        subscription._lost = "for this test"
        await delivery.ack()
    async with PullSubscription(client, IMPATIENT) as other:
        assert await take_and_ack(other, 1) == [b"1"]


async def _take_one_and_restart(client: Client, server: NatsServer, end: Callable[[], None]) -> None:
    async with PullSubscription(client, IMPATIENT) as subscription:
        await take_and_ack(subscription, 1)
        await client.flush()
        taking = asyncio.create_task(_take_until_lost(subscription))
        await asyncio.to_thread(end)
        await asyncio.to_thread(server.start)
        await taking


async def _take_until_lost(subscription: PullSubscription) -> None:
    with pytest.raises(SubscriptionLost):
        await _take_for_ever(subscription)


async def _take_for_ever(subscription: PullSubscription) -> None:
    while True:
        await subscription.take(1)
