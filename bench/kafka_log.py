"""Kafka's event topics from outside: where they end, and when Kafka took each record."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from contracts.headers import ID
from infra.provision.settings import Settings
from operations.sources import TOPICS

ANSWER_SECONDS = 30.0
TAKEN_AT_ONCE = 10_000

Ends = Mapping[tuple[str, int], int]
"""For each topic and partition, the offset after its last record."""


class KafkaLog:
    """The client library blocks, so it has a thread of its own.

    Args:
        consumer: its group is never joined and nothing is committed.
    """

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._thread = ThreadPoolExecutor(1, "bench-kafka")

    async def ends(self) -> Ends:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ends)

    async def length(self) -> int:
        """Records of all event topics together, deleted ones included."""
        return sum((await self.ends()).values())

    async def taken_since(self, begin: Ends) -> dict[str, float]:
        """For each event id, when Kafka appended its record (the first one): epoch seconds, in whole milliseconds."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._taken_since, begin)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._consumer.close)
        self._thread.shutdown(wait=False)

    def _ends(self) -> dict[tuple[str, int], int]:
        described = self._consumer.list_topics(timeout=ANSWER_SECONDS).topics
        partitions = [(name, number) for name in TOPICS for number in described[name].partitions]
        return {
            (name, number): self._consumer.get_watermark_offsets(TopicPartition(name, number), ANSWER_SECONDS)[1]
            for name, number in partitions
        }

    def _taken_since(self, begin: Ends) -> dict[str, float]:
        left = {place: end for place, end in self._ends().items() if end > begin.get(place, 0)}
        self._consumer.assign([TopicPartition(*place, begin.get(place, 0)) for place in left])
        taken: dict[str, float] = {}
        while left:
            for message in self._consumer.consume(TAKEN_AT_ONCE, timeout=0.2):
                place, offset = _place(message)
                taken.setdefault(_event_id(message), message.timestamp()[1] / 1000)
                if offset + 1 >= left.get(place, 0):
                    left.pop(place, None)
        self._consumer.unassign()
        return taken


@asynccontextmanager
async def open_kafka_log(settings: Settings) -> AsyncIterator[KafkaLog]:
    """Connects, and closes again."""
    log = KafkaLog(Consumer({**settings.kafka_login(), "group.id": "bench", "enable.auto.commit": False}))
    try:
        yield log
    finally:
        await log.close()


def _place(message: Message) -> tuple[tuple[str, int], int]:
    error = message.error()
    if error is not None:
        raise KafkaException(error)
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    return (topic, partition), offset


def _event_id(message: Message) -> str:
    value = dict(message.headers() or ()).get(ID) or b""
    return value.decode() if isinstance(value, bytes) else value
