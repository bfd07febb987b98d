"""The bridge's Kafka port in memory. Implements services.bridge.ports.Records."""

import asyncio
from collections.abc import Mapping, Sequence

from services.bridge.kafka import Partition, Topic
from services.bridge.translate import Record


class FakeRecords:
    """Hands out the records that are put in; waits while there are none.

    Attributes:
        described: the topics that were asked for, each time.
        started: the offsets that reading began with, each time.
    """

    def __init__(self) -> None:
        self.arriving: asyncio.Queue[list[Record]] = asyncio.Queue()
        self.described: list[list[str]] = []
        self.started: list[Mapping[Partition, int]] = []

    async def describe(self, names: Sequence[str]) -> list[Topic]:
        self.described.append(list(names))
        return [Topic(name, "topic-1", 1) for name in names]

    async def start(self, topics: Sequence[Topic], offsets: Mapping[Partition, int]) -> None:  # noqa: ARG002
        self.started.append(dict(offsets))

    async def take(self, limit: int) -> list[Record]:
        records = await self.arriving.get()
        assert len(records) <= limit
        return records
