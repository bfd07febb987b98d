"""Which publishes a batch takes: one atomic batch for many messages, one chain for a few."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from services.bridge.event_stream import MAX_BATCH, MAX_PIPELINED, EventStream
from services.bridge.jetstream import RepeatInBatch
from services.bridge.translate import Message, translate
from tests import builders


class FakeWriter:
    """A stream that takes everything, and writes down each publish with its number of messages.

    Attributes:
        known: event ids that the server remembers.
    """

    def __init__(self) -> None:
        self.publishes: list[tuple[str, int]] = []
        self.expected: list[int] = []
        self.known: set[str] = set()
        self._last = 0

    async def open(self) -> int:
        return self._last

    async def publish_batch(self, messages: Sequence[Message], expected: int) -> int:
        self._note("batch", messages, expected)
        if any(message.event_id in self.known for message in messages):
            raise RepeatInBatch("repeated")
        self._last += len(messages)
        return self._last

    async def publish_pipelined(
        self,
        messages: Sequence[Message],
        expected: int,
        partition_ends: Mapping[str, int],  # noqa: ARG002
    ) -> tuple[int, int]:
        self._note("chain", messages, expected)
        for place, message in enumerate(messages):
            if message.event_id in self.known:
                return place + 1, self._last
            self._last += 1
        return len(messages), self._last

    def _note(self, kind: str, messages: Sequence[Message], expected: int) -> None:
        self.publishes.append((kind, len(messages)))
        self.expected.append(expected)


def _messages(count: int, first: int = 0) -> list[Message]:
    return [
        translate(builders.record(b"%d" % n, event_id=f"event-{n}", partition=0, offset=n))
        for n in range(first, first + count)
    ]


async def _open(writer: FakeWriter) -> EventStream:
    anything: Any = writer
    stream = EventStream(anything)
    await stream.open()
    return stream


@pytest.mark.parametrize("count", [1, 2, MAX_PIPELINED])
async def test_a_few_messages_are_one_chain(count: int) -> None:
    writer = FakeWriter()
    await (await _open(writer)).append(_messages(count))
    assert writer.publishes == [("chain", count)]


@pytest.mark.parametrize("count", [MAX_PIPELINED + 1, MAX_BATCH])
async def test_many_messages_are_one_atomic_batch(count: int) -> None:
    writer = FakeWriter()
    await (await _open(writer)).append(_messages(count))
    assert writer.publishes == [("batch", count)]


async def test_more_messages_than_the_server_takes_at_once_are_several_atomic_batches() -> None:
    writer = FakeWriter()
    await (await _open(writer)).append(_messages(2 * MAX_BATCH + 100))
    assert writer.publishes == [("batch", MAX_BATCH), ("batch", MAX_BATCH), ("batch", 100)]


async def test_each_publish_expects_the_end_that_the_one_before_left() -> None:
    writer = FakeWriter()
    stream = await _open(writer)
    await stream.append(_messages(100))
    await stream.append(_messages(3, first=100))
    await stream.append(_messages(50, first=103))
    assert writer.expected == [0, 100, 103]


async def test_a_batch_with_a_repeat_is_published_in_chains_and_the_next_one_whole_again() -> None:
    writer = FakeWriter()
    stream = await _open(writer)
    writer.known = {"event-30"}
    await stream.append(_messages(40))
    assert writer.publishes[0] == ("batch", 40)
    assert {kind for kind, _ in writer.publishes[1:]} == {"chain"}
    writer.publishes.clear()
    await stream.append(_messages(40, first=40))
    assert writer.publishes == [("batch", 40)]
