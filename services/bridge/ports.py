"""What the bridge needs from outside. The real ports and the simulated ones keep to these protocols."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from messaging.connection import Stream
from services.bridge.kafka import Partition, Topic
from services.bridge.translate import Record


class Records(Protocol):
    """Kafka's records, read from given offsets on."""

    async def describe(self, names: Sequence[str]) -> list[Topic]:
        """The topics as they are now.

        Raises:
            KafkaException: Kafka is away, or a topic does not exist (yet).
        """

    async def start(self, topics: Sequence[Topic], offsets: Mapping[Partition, int]) -> None:
        """Reads all partitions of the topics from these offsets on.

        A partition without an offset, or with an offset that Kafka does not have, is read from its first record.
        """

    async def take(self, limit: int) -> list[Record]:
        """Waits a second at most for a record, and returns it with those that are there too.

        Raises:
            KafkaException: a partition cannot be read; call `start` again.
            TopicsChanged: a partition's offsets decrease; the same.
        """


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside of the process that the bridge uses. Time is the event loop's."""

    records: Records
    stream: Stream
