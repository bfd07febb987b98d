"""What a consumer relies on when it pulls from JetStream."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import replace

import pytest
from nats.aio.client import Client

from messaging.errors import SubscriptionLost
from messaging.progress import last_sequence, pause, progress
from messaging.pull import Delivery, PullSubscription
from messaging.streams import EVENTS, DurableConsumer, ensure_consumer, ensure_stream, request
from tests.behaviour.parts import Nats
from tests.eventually import eventually_async

ORDERS = DurableConsumer("orders", ("events.order.*.*",), ack_wait=30.0)
IMPATIENT = replace(ORDERS, ack_wait=0.5)
GUARD_SECONDS = 20.0


class Killed(Exception):
    """Ends a subscription in the middle of its work."""


@pytest.fixture(autouse=True)
async def _guard(client: Client) -> AsyncIterator[None]:
    await ensure_stream(client, EVENTS)
    async with asyncio.timeout(GUARD_SECONDS):
        yield


async def _publish(client: Client, *payloads: bytes, aggregate: str = "order") -> None:
    for payload in payloads:
        await client.jetstream().publish(f"events.{aggregate}.0.Something", payload)


async def _take(subscription: PullSubscription, count: int) -> list[Delivery]:
    taken: list[Delivery] = []
    while len(taken) < count:
        taken += await subscription.take(count - len(taken))
    return taken


async def _take_and_ack(subscription: PullSubscription, count: int) -> list[bytes]:
    taken = await _take(subscription, count)
    for delivery in taken:
        await delivery.ack()
    return [delivery.payload for delivery in taken]


async def test_a_single_message_is_taken_without_waiting_for_more(client: Client) -> None:
    async with PullSubscription(client, ORDERS) as subscription:
        taking = asyncio.create_task(subscription.take(500))
        await _publish(client, b"1")
        assert [delivery.payload for delivery in await taking] == [b"1"]


async def test_messages_of_the_consumers_subjects_arrive_in_order_and_no_others(client: Client) -> None:
    await _publish(client, b"1")
    await _publish(client, b"2", aggregate="customer")
    await _publish(client, b"3")
    async with PullSubscription(client, ORDERS) as subscription:
        assert await _take_and_ack(subscription, 2) == [b"1", b"3"]


async def test_an_acked_message_is_not_delivered_again(client: Client) -> None:
    await _publish(client, b"1", b"2")
    async with PullSubscription(client, ORDERS) as subscription:
        await _take_and_ack(subscription, 2)
    await _publish(client, b"3")
    async with PullSubscription(client, ORDERS) as subscription:
        assert await _take_and_ack(subscription, 1) == [b"3"]


async def test_a_nakked_message_is_delivered_again_with_the_same_sequence(client: Client) -> None:
    await _publish(client, b"1")
    async with PullSubscription(client, ORDERS) as subscription:
        [first] = await subscription.take(1)
        await first.nak(0.05)
        [again] = await subscription.take(1)
    assert (again.sequence, again.payload) == (first.sequence, b"1")


async def test_a_message_of_a_killed_process_is_delivered_again_after_the_ack_wait(client: Client) -> None:
    await _publish(client, b"1")
    with suppress(Killed):
        async with PullSubscription(client, IMPATIENT) as subscription:
            await _take(subscription, 1)
            raise Killed  # leaves without an ack or a nak
    async with PullSubscription(client, IMPATIENT) as other:
        assert await _take_and_ack(other, 1) == [b"1"]


async def test_a_message_in_progress_is_kept_for_longer_than_the_ack_wait(client: Client) -> None:
    await _publish(client, b"slow", b"clock")
    async with PullSubscription(client, IMPATIENT) as subscription:
        slow, clock = await _take(subscription, 2)
        await clock.nak(3 * IMPATIENT.ack_wait)
        [again] = await subscription.take(2)
        assert again.sequence == clock.sequence
        await slow.ack()


async def test_messages_that_were_not_taken_are_nakked_when_a_subscription_ends(client: Client) -> None:
    await _publish(client, b"1", b"2", b"3")
    async with PullSubscription(client, ORDERS) as subscription:
        [taken] = await subscription.take(1)

        async def check() -> None:
            assert len(subscription._arrived) == 2

        await eventually_async(check)
        await taken.ack()
    # Another subscription receives them long before the ack wait of 30 s is over.
    async with PullSubscription(client, ORDERS) as other:
        assert sorted(await _take_and_ack(other, 2)) == [b"2", b"3"]


async def test_two_instances_share_the_messages(nats: Nats, client: Client) -> None:
    async with PullSubscription(client, ORDERS) as first, PullSubscription(await nats.connect(), ORDERS) as second:
        taking = [asyncio.create_task(subscription.take(500)) for subscription in (first, second)]
        numbers = [b"%d" % number for number in range(30)]
        await _publish(client, *numbers)
        taken = [delivery for deliveries in await asyncio.gather(*taking) for delivery in deliveries]
        taken_later = len(numbers) - len(taken)
        rest: list[Delivery] = []
        while len(rest) < taken_later:
            taking = [asyncio.create_task(subscription.take(500)) for subscription in (first, second)]
            done, pending = await asyncio.wait(taking, return_when=asyncio.FIRST_COMPLETED)
            rest += [delivery for task in done for delivery in task.result()]
            await _cancel(pending)
    assert sorted(delivery.payload for delivery in [*taken, *rest]) == sorted(numbers)


async def _cancel(tasks: Iterable["asyncio.Task[list[Delivery]]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_stopped_subscription_takes_nothing_more(client: Client) -> None:
    await _publish(client, b"1")
    async with PullSubscription(client, ORDERS) as subscription:
        subscription.stop()
        assert await subscription.take(1) == []


async def test_a_deleted_stream_is_noticed(client: Client) -> None:
    async with PullSubscription(client, ORDERS) as subscription:
        taking = asyncio.create_task(subscription.take(1))
        await request(client, f"STREAM.DELETE.{EVENTS}")
        with pytest.raises(SubscriptionLost):
            await taking


async def test_a_deleted_consumer_is_noticed_and_starts_from_the_beginning(client: Client) -> None:
    await _publish(client, b"1")
    async with PullSubscription(client, ORDERS) as subscription:
        await _take_and_ack(subscription, 1)
        taking = asyncio.create_task(subscription.take(1))
        await request(client, f"CONSUMER.DELETE.{EVENTS}.{ORDERS.name}")
        with pytest.raises(SubscriptionLost):
            await taking
    async with PullSubscription(client, ORDERS) as subscription:
        assert await _take_and_ack(subscription, 1) == [b"1"]


async def test_a_recreated_stream_is_read_from_its_beginning(client: Client) -> None:
    await _publish(client, b"old-1", b"old-2")
    async with PullSubscription(client, ORDERS) as subscription:
        await _take_and_ack(subscription, 2)
    await request(client, f"STREAM.DELETE.{EVENTS}")
    await ensure_stream(client, EVENTS)
    await _publish(client, b"new")
    async with PullSubscription(client, ORDERS) as subscription:
        assert await _take_and_ack(subscription, 1) == [b"new"]


async def test_a_crash_of_the_server_is_noticed_and_the_position_survives_it(nats: Nats, client: Client) -> None:
    await _publish(client, b"1", b"2")
    async with PullSubscription(client, IMPATIENT) as subscription:
        taken = await _take(subscription, 2)
        nats.restart()
        with pytest.raises(SubscriptionLost):
            await subscription.take(1)
        await taken[0].ack()  # is not sent: the subscription is lost
    async with PullSubscription(await nats.connect(), IMPATIENT) as subscription:
        assert sorted(await _take_and_ack(subscription, 2)) == [b"1", b"2"]


async def test_a_consumers_position_is_the_last_delivered_message(client: Client) -> None:
    await _publish(client, b"1", b"2")
    await ensure_consumer(client, ORDERS)
    async with PullSubscription(client, ORDERS) as subscription:
        await _take_and_ack(subscription, 2)
    [info] = (await request(client, f"CONSUMER.LIST.{EVENTS}"))["consumers"]
    assert (info["name"], info["delivered"]["stream_seq"]) == (ORDERS.name, 2)


async def test_a_paused_consumer_delivers_nothing_until_the_pause_is_over(client: Client) -> None:
    async with PullSubscription(client, ORDERS) as subscription:
        await pause(client, ORDERS, 0.5)
        await _publish(client, b"1")
        held = await progress(client, ORDERS)
        assert (held.delivered, held.acknowledged, held.left) == (0, 0, 1)
        assert await _take_and_ack(subscription, 1) == [b"1"]


async def test_a_message_that_was_delivered_before_a_pause_can_be_acked_during_it(client: Client) -> None:
    await _publish(client, b"1")
    async with PullSubscription(client, ORDERS) as subscription:
        [taken] = await _take(subscription, 1)
        await pause(client, ORDERS, 30.0)
        await taken.ack()
        await eventually_async(lambda: _require_progress(client, 1, left=0))


async def test_a_consumer_has_acknowledged_up_to_the_first_message_that_is_not_acked(client: Client) -> None:
    await _publish(client, b"1", b"2", b"3")
    async with PullSubscription(client, ORDERS) as subscription:
        first, second, third = await _take(subscription, 3)
        await second.ack()
        await eventually_async(lambda: _require_progress(client, 0, left=2))
        await first.ack()
        await eventually_async(lambda: _require_progress(client, 2, left=1))
        await third.ack()
        await eventually_async(lambda: _require_progress(client, 3, left=0))
    assert await last_sequence(client, EVENTS) == 3


async def _require_progress(client: Client, sequence: int, left: int) -> None:
    now = await progress(client, ORDERS)
    assert (now.acknowledged, now.left) == (sequence, left)


async def test_the_consumer_of_another_generation_starts_from_the_beginning_and_keeps_its_own_position(
    client: Client,
) -> None:
    first, second = replace(ORDERS, generation="a"), replace(ORDERS, generation="b")
    await _publish(client, b"1", b"2")
    async with PullSubscription(client, first) as subscription:
        assert await _take_and_ack(subscription, 2) == [b"1", b"2"]
    async with PullSubscription(client, second) as subscription:
        assert await _take_and_ack(subscription, 2) == [b"1", b"2"]
    await _publish(client, b"3")
    async with PullSubscription(client, first) as subscription:
        assert await _take_and_ack(subscription, 1) == [b"3"]
