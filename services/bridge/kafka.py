"""Reading Kafka: the records of given partitions from given offsets on.

There is no consumer group and no committed offset: the position is in the stream.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from services.bridge.kafka_login import KafkaConfig
from services.bridge.translate import Record

log = logging.getLogger(__name__)

T = TypeVar("T")

POLL_SECONDS = 1.0
ADMIN_SECONDS = 10.0

CONSUMER_CONFIG: KafkaConfig = {
    # The library requires a group id. The group is never joined: partitions are assigned by hand.
    "group.id": "bridge",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # If Kafka does not have the offset (any more), reading starts at its first record.
    "auto.offset.reset": "earliest",
    "isolation.level": "read_committed",
    "fetch.wait.max.ms": 500,
    "fetch.min.bytes": 1,
    "fetch.error.backoff.ms": 100,
    "fetch.queue.backoff.ms": 10,
    "queued.min.messages": 10_000,
    "queued.max.messages.kbytes": 16_384,
}


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic. A topic that was recreated under the same name has another `id`."""

    name: str
    id: str
    partitions: int


Partition = tuple[str, int]
"""A topic's name and a partition's number."""


class TopicsChanged(Exception):
    """A topic was recreated, or has more partitions than before."""


class KafkaRecords:
    """Reads Kafka. The client library blocks, so it runs in a thread of its own.

    Args:
        login: where Kafka is and who logs in.
    """

    def __init__(self, login: KafkaConfig) -> None:
        connection = {**login, "client.id": "bridge", "reconnect.backoff.max.ms": 1_000}
        self._thread = ThreadPoolExecutor(1, "kafka")
        self._admin = AdminClient(connection)
        self._consumer_config = {**connection, **CONSUMER_CONFIG}
        self._consumer: Consumer | None = None
        self._topic_ids: dict[str, str] = {}
        self._next_offsets: dict[Partition, int] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._in_thread(self._close)
        self._thread.shutdown(wait=False)

    async def describe(self, names: Sequence[str]) -> list[Topic]:
        """The topics as they are now.

        Raises:
            KafkaException: Kafka is away, or a topic does not exist (yet).
        """
        described = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=ADMIN_SECONDS)
        topics = [await asyncio.wrap_future(future) for future in described.values()]
        return [Topic(topic.name, str(topic.topic_id), len(topic.partitions)) for topic in topics]

    async def ends(self, topics: Sequence[Topic]) -> dict[Partition, tuple[int, int]]:
        """For each partition, the offset of its first record and the one after its last."""
        return await self._in_thread(self._ends, [(t.name, number) for t in topics for number in range(t.partitions)])

    async def start(self, topics: Sequence[Topic], offsets: Mapping[Partition, int]) -> None:
        """Reads all partitions of the topics from these offsets on.

        A partition without an offset, or with an offset that Kafka does not have, is read from its first record.
        """
        self._topic_ids = {topic.name: topic.id for topic in topics}
        partitions = [
            TopicPartition(topic.name, number, offsets.get((topic.name, number), OFFSET_BEGINNING))
            for topic in topics
            for number in range(topic.partitions)
        ]
        await self._in_thread(self._open, partitions)

    async def take(self, limit: int) -> list[Record]:
        """Waits up to `POLL_SECONDS` for a record, and returns it with those that are there too.

        Raises:
            KafkaException: a partition cannot be read; call `start` again.
            TopicsChanged: a partition's offsets decrease; the same.
        """
        return [self._record(message) for message in await self._in_thread(self._take, limit)]

    def _open(self, partitions: list[TopicPartition]) -> None:
        # A new client each time: after Kafka was wiped, an old client waits for the old topics' leaders without end.
        self._close()
        self._consumer = Consumer(self._consumer_config)
        self._next_offsets = {}
        for partition in partitions:
            _, end = self._consumer.get_watermark_offsets(partition, timeout=ADMIN_SECONDS)
            if partition.offset > end:
                log.warning("%s/%d ends at %d, below %d", partition.topic, partition.partition, end, partition.offset)
                partition.offset = OFFSET_BEGINNING
            self._next_offsets[partition.topic, partition.partition] = max(partition.offset, 0)
        self._consumer.assign(partitions)

    def _ends(self, partitions: Sequence[Partition]) -> dict[Partition, tuple[int, int]]:
        consumer = Consumer(self._consumer_config)
        try:
            return {
                partition: consumer.get_watermark_offsets(TopicPartition(*partition), timeout=ADMIN_SECONDS)
                for partition in partitions
            }
        finally:
            consumer.close()

    def _close(self) -> None:
        if self._consumer:
            self._consumer.close()
            self._consumer = None

    def _take(self, limit: int) -> list[Message]:
        assert self._consumer is not None, "start() first"
        # consume(n, timeout) alone would hold back the first record until n records or the timeout have come.
        first = self._consumer.poll(POLL_SECONDS)
        if first is None:
            return []
        return [first, *self._consumer.consume(limit - 1, 0)]

    def _record(self, message: Message) -> Record:
        error = message.error()
        if error is not None:
            raise KafkaException(error)
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None
        assert partition is not None
        assert offset is not None
        if offset < self._next_offsets[topic, partition]:
            # librdkafka switches to a recreated topic without an error.
            raise TopicsChanged(
                f"{topic}/{partition} is at offset {offset}, below {self._next_offsets[topic, partition]}"
            )
        self._next_offsets[topic, partition] = offset + 1
        # The library's type has str too, which only a producer may pass.
        headers = cast("Sequence[tuple[str, bytes | None]]", message.headers() or ())
        return Record(topic, self._topic_ids[topic], partition, offset, message.value() or b"", headers)

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)
