"""Kafka to JetStream with the real engines, cancelled at random moments."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from nats.aio.client import Client
from nats.aio.msg import Msg

from messaging.connection import Connection
from messaging.streams import EVENTS, ensure_stream, request
from services.bridge.kafka import KafkaRecords
from services.bridge.kafka_login import KafkaConfig
from services.bridge.relay import Relay
from tests.engines import KafkaTopics
from tests.eventually import eventually_async
from tests.integration.events import stored


def _events(count: int, first: int = 0, partitions: int = 2) -> list[tuple[int, str, bytes]]:
    numbers = range(first, first + count)
    return [(number % partitions, f"event-{number}", b"%d" % number) for number in numbers]


@asynccontextmanager
async def relaying(stream: Connection, kafka: KafkaConfig, topic: str) -> AsyncIterator[None]:
    """A bridge at work, killed at the end."""
    async with KafkaRecords(kafka) as records:
        relay = Relay(stream, records, [topic])
        task = asyncio.create_task(relay.run())
        try:
            yield
        finally:
            task.cancel()
            # Before Python 3.12, asyncio.wait_for, with which the NATS client awaits its answers, can swallow a
            # cancellation that comes together with the answer.
            relay.stop()
            await asyncio.gather(task, return_exceptions=True)


async def _messages_in_stream(client: Client) -> int:
    return int((await request(client, f"STREAM.INFO.{EVENTS}"))["state"]["messages"])


async def _has_at_least(client: Client, count: int) -> None:
    async def check() -> None:
        assert await _messages_in_stream(client) >= count

    await eventually_async(check)


async def test_every_record_arrives_exactly_once_and_in_order_whenever_the_bridge_is_killed(
    client: Client, stream: Connection, topics: KafkaTopics, kafka: KafkaConfig
) -> None:
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    name, total = topics.create(partitions=3), 12_000
    await ensure_stream(client, EVENTS)
    await asyncio.to_thread(topics.write, name, _events(total, partitions=3))
    for kills in range(1, 7):
        # Somewhere in the middle of what is left of the seventh part that is due by now.
        due = chance.randint((kills - 1) * total // 7, kills * total // 7)
        async with relaying(stream, kafka, name):
            await _has_at_least(client, due)
    killed_at = await _messages_in_stream(client)
    async with relaying(stream, kafka, name):
        await _has_at_least(client, total)
    arrived = _by_partition(await stored(client, EVENTS))
    expected = {partition: list(range(partition, total, 3)) for partition in range(3)}
    assert arrived == expected, f"seed {seed}, last killed after {killed_at}"


async def test_records_written_while_the_bridge_runs_arrive(
    client: Client, stream: Connection, topics: KafkaTopics, kafka: KafkaConfig
) -> None:
    name = topics.create(partitions=2)
    await ensure_stream(client, EVENTS)
    async with relaying(stream, kafka, name):
        for first in range(0, 50, 10):
            await asyncio.to_thread(topics.write, name, _events(10, first))
            await _has_at_least(client, first + 10)
    assert _by_partition(await stored(client, EVENTS)) == {0: list(range(0, 50, 2)), 1: list(range(1, 50, 2))}


async def test_a_wiped_stream_is_filled_again_from_kafka_while_the_bridge_runs(
    client: Client, stream: Connection, topics: KafkaTopics, kafka: KafkaConfig
) -> None:
    name = topics.create(partitions=2)
    topics.write(name, _events(10))
    await ensure_stream(client, EVENTS)
    async with relaying(stream, kafka, name):
        await _has_at_least(client, 10)
        await request(client, f"STREAM.DELETE.{EVENTS}")
        await ensure_stream(client, EVENTS)
        await asyncio.to_thread(topics.write, name, _events(2, first=10))
        await _has_at_least(client, 12)
    assert _by_partition(await stored(client, EVENTS)) == {0: [0, 2, 4, 6, 8, 10], 1: [1, 3, 5, 7, 9, 11]}


async def test_a_topic_made_anew_is_read_from_its_beginning_while_the_bridge_runs(
    client: Client, stream: Connection, topics: KafkaTopics, kafka: KafkaConfig
) -> None:
    name = topics.create(partitions=1)
    topics.write(name, _events(10, partitions=1))
    await ensure_stream(client, EVENTS)
    async with relaying(stream, kafka, name):
        await _has_at_least(client, 10)
        topics.delete(name)
        topics.create(partitions=1, name=name)
        await asyncio.to_thread(topics.write, name, _events(3, first=10, partitions=1))
        await _has_at_least(client, 13)
    assert _by_partition(await stored(client, EVENTS)) == {0: list(range(13))}


def _by_partition(messages: Sequence[Msg]) -> dict[int, list[int]]:
    numbers: dict[int, list[int]] = defaultdict(list)
    for message in messages:
        assert message.headers is not None
        numbers[int(message.headers["Kafka-Partition"])].append(int(message.data))
    return dict(numbers)
