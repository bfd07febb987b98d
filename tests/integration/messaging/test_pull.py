"""The pull subscription on a real NATS server."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from nats.aio.client import Client

from messaging.errors import SubscriptionLost
from messaging.pull import Delivery, PullSubscription
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


async def test_a_lone_message_is_handed_on_without_waiting_for_more(client: Client) -> None:
    async with PullSubscription(client, ORDERS) as subscription:
        taking = asyncio.create_task(subscription.take(500))
        await publish(client, [b"1"])
        assert [delivery.payload for delivery in await taking] == [b"1"]


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


async def test_more_than_the_window_comes_in_the_end(client: Client) -> None:
    payloads = [b"%d" % number for number in range(100)]
    await publish(client, payloads)
    async with PullSubscription(client, ORDERS, window=8) as subscription:
        assert await take_and_ack(subscription, 100) == payloads


async def test_a_full_window_asks_for_nothing_more(client: Client) -> None:
    await publish(client, [b"%d" % number for number in range(10)])
    ahead = []
    async with PullSubscription(client, ORDERS, window=1) as subscription:
        for _ in range(9):
            await take_and_ack(subscription, 1)
            await _info(client)  # what was asked for had its time to come
            ahead.append(len(subscription._arrived))
    assert max(ahead) == 0


async def test_what_was_given_back_comes_again_with_the_same_sequence(client: Client) -> None:
    await publish(client, [b"1"])
    async with PullSubscription(client, ORDERS) as subscription:
        [first] = await subscription.take(1)
        await first.nak(0.05)
        [again] = await subscription.take(1)
    assert (again.sequence, again.payload) == (first.sequence, b"1")


async def test_what_was_acked_does_not_come_again(client: Client) -> None:
    await publish(client, [b"1", b"2"])
    async with PullSubscription(client, ORDERS) as subscription:
        await take_and_ack(subscription, 2)
    await publish(client, [b"3"])
    async with PullSubscription(client, ORDERS) as subscription:
        assert await take_and_ack(subscription, 1) == [b"3"]


async def test_what_was_not_taken_is_given_back_on_the_way_out(client: Client) -> None:
    await publish(client, [b"1", b"2", b"3"])
    async with PullSubscription(client, ORDERS) as subscription:
        [taken] = await subscription.take(1)

        async def check() -> None:
            assert len(subscription._arrived) == 2

        await eventually_async(check)
        await taken.ack()
    # Another one has it at once, long before the ack wait of an hour.
    async with PullSubscription(client, ORDERS) as other:
        assert sorted(await take_and_ack(other, 2)) == [b"2", b"3"]


async def test_after_a_crash_what_was_in_hand_comes_again(client: Client) -> None:
    await publish(client, [b"1"])
    with pytest.raises(RuntimeError):
        await _take_and_crash(client)
    async with PullSubscription(client, IMPATIENT) as other:
        assert await take_and_ack(other, 1) == [b"1"]


async def test_a_message_in_hand_is_kept_for_longer_than_the_ack_wait(client: Client) -> None:
    await publish(client, [b"slow", b"clock"])
    async with PullSubscription(client, IMPATIENT) as subscription:
        slow, clock = await _take_two(subscription)
        # The clock comes back after three ack waits, and nothing else does.
        await clock.nak(3 * IMPATIENT.ack_wait)
        [again] = await subscription.take(2)
        assert again.sequence == clock.sequence
        assert (await _info(client))["num_redelivered"] == 1
        await slow.ack()


async def test_a_stopped_subscription_takes_nothing_more(client: Client) -> None:
    await publish(client, [b"1"])
    async with PullSubscription(client, ORDERS) as subscription:
        subscription.stop()
        assert await subscription.take(1) == []


async def test_a_cancelled_take_has_taken_nothing(client: Client) -> None:
    async with PullSubscription(client, ORDERS) as subscription:
        taking = asyncio.create_task(subscription.take(1))
        await asyncio.wait({taking}, timeout=0)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        await publish(client, [b"1"])
        assert await take_and_ack(subscription, 1) == [b"1"]


async def test_a_deleted_stream_is_noticed(client: Client) -> None:
    async with PullSubscription(client, ORDERS) as subscription:
        taking = asyncio.create_task(subscription.take(1))
        await request(client, f"STREAM.DELETE.{EVENTS}")
        with pytest.raises(SubscriptionLost):
            await taking


async def test_a_stream_that_was_made_anew_is_read_from_its_beginning(client: Client) -> None:
    await publish(client, [b"old-1", b"old-2"])
    async with PullSubscription(client, ORDERS) as subscription:
        await take_and_ack(subscription, 2)
    await request(client, f"STREAM.DELETE.{EVENTS}")
    await make_streams(client)
    await publish(client, [b"new"])
    async with PullSubscription(client, ORDERS) as subscription:
        assert await take_and_ack(subscription, 1) == [b"new"]


async def test_a_server_that_was_stopped_has_kept_the_place(client: Client, nats_server: NatsServer) -> None:
    await publish(client, [b"1", b"2"])
    await _take_one_and_restart(client, nats_server, nats_server.stop)
    async with PullSubscription(client, IMPATIENT) as subscription:
        assert await take_and_ack(subscription, 1) == [b"2"]


async def test_a_server_that_was_killed_loses_acks_at_most(client: Client, nats_server: NatsServer) -> None:
    await publish(client, [b"1", b"2"])
    await _take_one_and_restart(client, nats_server, nats_server.kill)
    async with PullSubscription(client, IMPATIENT) as subscription:
        taken: list[bytes] = []
        while b"2" not in taken:
            taken += await take_and_ack(subscription, 1)


async def test_a_verdict_on_a_delivery_of_a_lost_subscription_is_not_sent(client: Client) -> None:
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


async def _take_two(subscription: PullSubscription) -> list[Delivery]:
    taken = await subscription.take(2)
    return taken if len(taken) == 2 else taken + await subscription.take(1)


async def _take_and_crash(client: Client) -> None:
    async with PullSubscription(client, IMPATIENT) as subscription:
        assert await subscription.take(1)
        raise RuntimeError


async def _take_until_lost(subscription: PullSubscription) -> None:
    with pytest.raises(SubscriptionLost):
        await _take_for_ever(subscription)


async def _take_for_ever(subscription: PullSubscription) -> None:
    while True:
        await subscription.take(1)
