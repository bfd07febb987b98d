"""How records are taken from the client library: a lone one at once, a backlog in one call."""

from typing import Any, ClassVar

import pytest

from services.bridge import kafka as kafka_module
from services.bridge.kafka import POLL_SECONDS, KafkaRecords, Topic


class FakeMessage:
    def __init__(self, offset: int) -> None:
        self._offset = offset

    def error(self) -> None:
        return None

    def topic(self) -> str:
        return "events.order"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes:
        return b"{}"

    def headers(self) -> list[tuple[str, bytes]]:
        return []


class FakeConsumer:
    """The client library's consumer with these many records; writes down each call that can wait."""

    def __init__(self, records: int) -> None:
        self._messages = [FakeMessage(offset) for offset in range(records)]
        self.calls: list[tuple[str, float]] = []

    def poll(self, timeout: float) -> FakeMessage | None:
        self.calls.append(("poll", timeout))
        return self._messages.pop(0) if self._messages else None

    def consume(self, limit: int, timeout: float) -> list[FakeMessage]:
        self.calls.append((f"consume {limit}", timeout))
        taken, self._messages = self._messages[:limit], self._messages[limit:]
        return taken

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(autouse=True)
def _no_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client library would try to connect, and log each failure, for as long as this process lives."""
    monkeypatch.setattr(kafka_module, "AdminClient", lambda _: None)


async def _take(records: int, limit: int) -> tuple[int, list[tuple[str, float]]]:
    consumer: Any = FakeConsumer(records)
    async with KafkaRecords({"bootstrap.servers": "127.0.0.1:1"}) as kafka:
        kafka._consumer = consumer
        kafka._topic_ids = {"events.order": "topic-1"}
        kafka._next_offsets = {("events.order", 0): 0}
        taken = await kafka.take(limit)
    return len(taken), consumer.calls


async def test_a_lone_record_is_handed_on_without_waiting_for_more() -> None:
    assert await _take(1, limit=500) == (1, [("poll", POLL_SECONDS), ("consume 499", 0)])


async def test_a_backlog_is_taken_in_one_call() -> None:
    assert await _take(800, limit=500) == (500, [("poll", POLL_SECONDS), ("consume 499", 0)])


async def test_without_a_record_only_the_first_call_waits() -> None:
    assert await _take(0, limit=500) == (0, [("poll", POLL_SECONDS)])


class OpenedConsumer(FakeConsumer):
    """Is made with a configuration, as the library's; writes down each that is open."""

    opened: ClassVar[list["OpenedConsumer"]] = []

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(0)
        self.config = config
        self.opened.append(self)

    def get_watermark_offsets(self, _partition: object, timeout: float) -> tuple[int, int]:  # noqa: ARG002
        return 0, 0

    def assign(self, _partitions: object) -> None:
        """Nothing is read."""

    def close(self) -> None:
        self.opened.remove(self)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[OpenedConsumer]:
    monkeypatch.setattr(OpenedConsumer, "opened", [])
    monkeypatch.setattr(kafka_module, "Consumer", OpenedConsumer)
    return OpenedConsumer.opened


async def test_a_second_start_closes_the_client_of_the_first(opened: list[OpenedConsumer]) -> None:
    topics = [Topic("events.order", "topic-1", 2)]
    async with KafkaRecords({"bootstrap.servers": "127.0.0.1:1"}) as kafka:
        for _ in range(3):
            await kafka.start(topics, {})
        assert len(opened) == 1
    assert opened == []


async def test_an_offset_whose_record_the_retention_has_deleted_leads_to_the_first_record(
    opened: list[OpenedConsumer],
) -> None:
    async with KafkaRecords({"bootstrap.servers": "127.0.0.1:1"}) as kafka:
        await kafka.start([Topic("events.order", "topic-1", 1)], {})
        assert opened[0].config["auto.offset.reset"] == "earliest"
        assert opened[0].config["enable.auto.commit"] is False
