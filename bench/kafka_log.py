"""The records of Kafka's event topics: the end offset of each partition, and when each record was appended."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from contracts.headers import ID
from infra.provision.settings import Settings
from operations.sources import TOPICS

REQUEST_TIMEOUT_SECONDS = 30.0
CONSUME_TIMEOUT_SECONDS = 0.2
CONSUME_BATCH = 10_000

Partition = tuple[str, int]
"""Topic and partition number."""

EndOffsets = Mapping[Partition, int]
"""For each partition, the offset after its last record."""


class KafkaLog:
    """Reads the event topics in a thread of its own: the client library blocks.

    Args:
        consumer: joins no group and commits nothing.
    """

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._thread = ThreadPoolExecutor(1, "bench-kafka")

    async def end_offsets(self) -> EndOffsets:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._end_offsets)

    async def record_count(self) -> int:
        """The number of records in all event topics, deleted ones included."""
        return sum((await self.end_offsets()).values())

    async def append_times_since(self, begin: EndOffsets) -> dict[str, float]:
        """When Kafka appended the first record of each event: epoch seconds, in whole milliseconds, by event id."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._append_times_since, begin)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._consumer.close)
        self._thread.shutdown(wait=False)

    def _end_offsets(self) -> dict[Partition, int]:
        topics = self._consumer.list_topics(timeout=REQUEST_TIMEOUT_SECONDS).topics
        partitions = [(name, number) for name in TOPICS for number in topics[name].partitions]
        return {
            partition: self._consumer.get_watermark_offsets(TopicPartition(*partition), REQUEST_TIMEOUT_SECONDS)[1]
            for partition in partitions
        }

    def _append_times_since(self, begin: EndOffsets) -> dict[str, float]:
        unread = {partition: end for partition, end in self._end_offsets().items() if end > begin.get(partition, 0)}
        self._consumer.assign([TopicPartition(*partition, begin.get(partition, 0)) for partition in unread])
        times: dict[str, float] = {}
        while unread:
            for message in self._consumer.consume(CONSUME_BATCH, timeout=CONSUME_TIMEOUT_SECONDS):
                partition, offset = _position(message)
                times.setdefault(_event_id(message), message.timestamp()[1] / 1000)
                if offset + 1 >= unread.get(partition, 0):
                    unread.pop(partition, None)
        self._consumer.unassign()
        return times


@asynccontextmanager
async def open_kafka_log(settings: Settings) -> AsyncIterator[KafkaLog]:
    """Connects to Kafka, and closes the connection at the end."""
    log = KafkaLog(Consumer({**settings.kafka_login(), "group.id": "bench", "enable.auto.commit": False}))
    try:
        yield log
    finally:
        await log.close()


def _position(message: Message) -> tuple[Partition, int]:
    """The partition and the offset of a message.

    Raises:
        KafkaException: the message stands for an error of the consumer.
    """
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
