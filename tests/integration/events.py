"""Filling the stream EVENTS, and reading what is in a stream."""

import asyncio
from collections.abc import Iterable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from messaging.pull import Delivery, PullSubscription
from messaging.streams import DEAD_LETTERS, EVENTS, ensure_stream, request

GUARD_SECONDS = 20.0
"""What takes longer will never come: the test fails instead of hanging."""


async def make_streams(client: Client) -> None:
    for stream in (EVENTS, DEAD_LETTERS):
        await ensure_stream(client, stream)


async def publish(client: Client, payloads: Iterable[bytes], event_type: str = "OrderCreated") -> None:
    """One event for each payload, as the bridge would store them."""
    for payload in payloads:
        headers = {"id": payload.decode(), "type": event_type}
        await client.jetstream().publish(f"events.order.0.{event_type}", payload, headers=headers)


async def stored(client: Client, stream: str) -> list[Msg]:
    """All messages of a stream, in order."""
    last = (await request(client, f"STREAM.INFO.{stream}"))["state"]["last_seq"]
    if not last:
        return []
    reader = await client.jetstream().subscribe(
        ">", stream=stream, ordered_consumer=True, config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
    )
    messages = [await reader.next_msg(timeout=10.0)]
    while messages[-1].metadata.sequence.stream < last:
        messages.append(await reader.next_msg(timeout=10.0))
    await reader.unsubscribe()
    return messages


async def take_and_ack(subscription: PullSubscription, count: int) -> list[bytes]:
    """Takes until so many messages have come, and acks them."""
    taken: list[Delivery] = []
    async with asyncio.timeout(GUARD_SECONDS):
        while len(taken) < count:
            taken += await subscription.take(count - len(taken))
    for delivery in taken:
        await delivery.ack()
    return [delivery.payload for delivery in taken]
