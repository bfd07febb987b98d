"""A Kafka broker, and the bridge's reader of it.

A recreated topic has another id, and its offsets start at 0. A reader that does not check continues under the
old id, as librdkafka does, until an offset decreases. So the bridge has to check the topic's id by itself.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException

from services.bridge.kafka import POLL_SECONDS, Partition, Topic, TopicsChanged
from services.bridge.translate import Record
from tests.simulation.clock import Signal
from tests.simulation.process import Life
from tests.simulation.world import World

TOPICS = ("events.customer", "events.order")

Headers = list[tuple[str, bytes | None]]


@dataclass
class Log:
    """One topic's partitions, each a list of records (value, headers)."""

    id: str
    partitions: list[list[tuple[bytes, Headers]]]


@dataclass
class Broker:
    """Kafka: the topics, and Connect's offsets, which are stored there too."""

    world: World
    partitions: int
    up: bool = True
    connect_offsets: dict[str, int] = field(default_factory=dict)
    topics: dict[str, Log] = field(default_factory=dict)
    news: Signal = field(default_factory=Signal)
    incarnation: int = 0
    """How often the topics were created."""

    def __post_init__(self) -> None:
        self.wipe()

    def wipe(self) -> None:
        """Deletes all data, Connect's offsets too, and creates the topics again, as the keeper does."""
        self.incarnation += 1
        self.connect_offsets.clear()
        self.topics = {name: Log(f"{name}-{self.incarnation}", [[] for _ in range(self.partitions)]) for name in TOPICS}

    def produce(self, topic: str, key: str, value: bytes, headers: Headers) -> None:
        self.check()
        partitions = self.topics[topic].partitions
        partitions[zlib.crc32(key.encode()) % len(partitions)].append((value, headers))
        self.news.fire()

    def check(self) -> None:
        if not self.up:
            raise KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN))


class KafkaRecords:
    """Implements services.bridge.ports.Records."""

    def __init__(self, broker: Broker, life: Life) -> None:
        self._broker = broker
        self._life = life
        self._topic_ids: dict[str, str] = {}
        self._positions: dict[Partition, int] = {}

    async def describe(self, names: Sequence[str]) -> list[Topic]:
        await self._life.io()
        self._broker.check()
        if not set(names) <= set(self._broker.topics):
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
        topics = [(name, self._broker.topics[name]) for name in names]
        described = [Topic(name, log.id, len(log.partitions)) for name, log in topics]
        await self._life.io()
        return described

    async def start(self, topics: Sequence[Topic], offsets: Mapping[Partition, int]) -> None:
        self._topic_ids = {topic.name: topic.id for topic in topics}
        partitions = [(topic.name, number) for topic in topics for number in range(topic.partitions)]
        self._positions = {partition: self._position(partition, offsets) for partition in partitions}

    def _position(self, partition: Partition, offsets: Mapping[Partition, int]) -> int:
        topic, number = partition
        offset = offsets.get(partition, 0)
        return offset if offset <= len(self._broker.topics[topic].partitions[number]) else 0

    async def take(self, limit: int) -> list[Record]:
        deadline = self._life.world.now + POLL_SECONDS
        while True:
            await self._life.io()
            records = self._fetch(limit) if self._broker.up else []
            if records or self._life.world.now > deadline:
                return records
            await self._broker.news.wait(POLL_SECONDS)

    def _fetch(self, limit: int) -> list[Record]:
        """Some of the records that are there: partitions in any order, each partition's records in their order."""
        rng = self._life.world.rng
        taken: list[Record] = []
        for (topic, number), position in rng.sample(list(self._positions.items()), len(self._positions)):
            log = self._broker.topics[topic].partitions[number]
            if 0 < len(log) < position:
                raise TopicsChanged(f"{topic}/{number} continues at 0, not {position}")
            most = rng.randint(0, 20) if rng.random() < 0.3 else limit
            end = max(position, min(len(log), position + most, position + limit - len(taken)))
            taken += [self._record(topic, number, offset, *log[offset]) for offset in range(position, end)]
            self._positions[topic, number] = end
        return taken

    def _record(self, topic: str, partition: int, offset: int, value: bytes, headers: Headers) -> Record:
        return Record(topic, self._topic_ids[topic], partition, offset, value, headers)
