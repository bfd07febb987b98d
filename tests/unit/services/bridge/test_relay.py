"""The relay's loop: a record is forwarded when it arrives, a batch in one append, a fault resumes from the stream."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from services.bridge import relay as relay_module
from services.bridge.jetstream import Fenced
from services.bridge.kafka import Partition, Topic
from services.bridge.relay import CHECK_SECONDS, LINGER, RESUME_SECONDS, Relay
from services.bridge.translate import Message, Record
from tests import builders
from tests.simulation.clock import VirtualLoop, pass_time
from tests.unit.messaging.stream import OpenStream
from tests.unit.services.bridge.ports import FakeRecords


class FakeEventStream:
    """The stream; writes down when it was opened and checked, and when how many messages were appended."""

    def __init__(self) -> None:
        self.log: list[tuple[str, float]] = []
        self.batches: list[int] = []
        self.faults: list[Exception] = []
        self.append_seconds = 0.0

    def __call__(self, writer: object) -> "FakeEventStream":  # noqa: ARG002 - in the place of the class
        return self

    async def open(self) -> None:
        self._note("open")

    async def check(self) -> None:
        self._note("check")

    async def next_offsets(self, topics: Sequence[Topic]) -> dict[Partition, int]:
        return {(topic.name, 0): sum(self.batches) for topic in topics}

    async def append(self, messages: Sequence[Message]) -> None:
        self._note("append")
        await pass_time(self.append_seconds)
        if self.faults:
            raise self.faults.pop()
        self.batches.append(len(messages))

    def _note(self, what: str) -> None:
        self.log.append((what, round(asyncio.get_running_loop().time(), 6)))

    def times(self, what: str) -> list[float]:
        return [time for noted, time in self.log if noted == what]


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> FakeEventStream:
    stream = FakeEventStream()
    monkeypatch.setattr(relay_module, "EventStream", stream)
    monkeypatch.setattr(relay_module, "EventsWriter", lambda client: client)
    return stream


Steps = Callable[[FakeRecords], Coroutine[Any, Any, None]]


def _relay_while(steps: Steps) -> FakeRecords:
    """Runs a relay on a virtual clock while these steps are done."""

    async def run() -> FakeRecords:
        records = FakeRecords()
        relay = Relay(OpenStream(None), records, ["events.order"])
        running = asyncio.create_task(relay.run())
        await steps(records)
        running.cancel()
        await asyncio.wait({running})
        return records

    return VirtualLoop().run(run())


def _records(count: int) -> list[Record]:
    return [builders.record(offset=offset) for offset in range(count)]


def test_a_lone_record_is_forwarded_when_it_arrives(stream: FakeEventStream) -> None:
    async def steps(records: FakeRecords) -> None:
        await pass_time(0.7)
        await records.arriving.put(_records(1))
        await pass_time(0.001)

    _relay_while(steps)
    assert stream.times("append") == [0.7]


def test_the_records_that_were_taken_together_are_appended_in_one_call(stream: FakeEventStream) -> None:
    async def steps(records: FakeRecords) -> None:
        await records.arriving.put(_records(500))
        await pass_time(0.001)

    _relay_while(steps)
    assert stream.batches == [500]


def test_after_a_small_batch_it_lingers_and_after_a_full_one_it_does_not(stream: FakeEventStream) -> None:
    stream.append_seconds = 0.001

    async def steps(records: FakeRecords) -> None:
        for batch in (_records(LINGER.full_batch), _records(1), _records(1)):
            await records.arriving.put(batch)
        await pass_time(1.0)

    _relay_while(steps)
    assert stream.times("append") == [0.0, 0.001, 0.001 + LINGER.per_item]


def test_after_a_fault_it_resumes_from_the_position_of_the_stream(stream: FakeEventStream) -> None:
    stream.faults = [Fenced("another bridge")]

    async def steps(records: FakeRecords) -> None:
        await records.arriving.put(_records(3))
        await pass_time(RESUME_SECONDS + 0.1)

    records = _relay_while(steps)
    assert stream.times("open") == [0.0, RESUME_SECONDS]
    assert records.started == [{("events.order", 0): 0}] * 2


def test_the_stream_and_the_topics_are_checked_while_records_arrive(stream: FakeEventStream) -> None:
    async def steps(records: FakeRecords) -> None:
        for _ in range(12):
            await records.arriving.put(_records(1))
            await pass_time(CHECK_SECONDS / 4)

    records = _relay_while(steps)
    assert len(stream.times("check")) == 2
    assert len(records.described) == 3
