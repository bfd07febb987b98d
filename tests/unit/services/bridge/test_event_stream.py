"""Which publishes a batch takes, and which position the stream gives: with a writer that writes everything down."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from services.bridge.event_stream import MAX_BATCH, MAX_PIPELINED, EventStream
from services.bridge.jetstream import Fenced, RepeatInBatch
from services.bridge.kafka import Topic
from services.bridge.translate import Message, translate
from tests import builders


class FakeWriter:
    """A stream that takes everything, and writes down each publish with its number of messages.

    Attributes:
        published: partition and offset of each message, in the order given.
        known: event ids that the server remembers.
        ends: the ends of the partitions that each chain was given.
        last_messages: sequence and headers of the last message, by the subjects of its partition.
    """

    def __init__(self) -> None:
        self.publishes: list[tuple[str, int]] = []
        self.published: list[tuple[int, int]] = []
        self.expected: list[int] = []
        self.known: set[str] = set()
        self.ends: list[dict[str, int]] = []
        self.last_messages: dict[str, tuple[int, dict[str, str]]] = {}
        self._last = 0

    async def open(self) -> int:
        return self._last

    async def last_sequence(self) -> int:
        return self._last

    async def last_message(self, subjects: str) -> tuple[int, dict[str, str]] | None:
        return self.last_messages.get(subjects)

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
        partition_ends: Mapping[str, int],
    ) -> tuple[int, int]:
        self._note("chain", messages, expected)
        self.ends.append(dict(partition_ends))
        for place, message in enumerate(messages):
            if message.event_id in self.known:
                return place + 1, self._last
            self._last += 1
        return len(messages), self._last

    def _note(self, kind: str, messages: Sequence[Message], expected: int) -> None:
        self.published += [(int(m.headers["Kafka-Partition"]), int(m.headers["Kafka-Offset"])) for m in messages]
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


async def test_a_stream_that_ends_elsewhere_is_fenced_with_both_ends() -> None:
    writer = FakeWriter()
    stream = await _open(writer)
    await stream.append(_messages(3))
    await stream.check()
    writer._last = 2
    with pytest.raises(Fenced, match="the stream ends with message 2, not 3"):
        await stream.check()


async def test_a_partition_goes_on_after_its_last_message_unless_its_topic_was_recreated() -> None:
    writer = FakeWriter()
    writer._last = 9
    writer.last_messages = {
        "events.order.0.>": (4, {"Kafka-Topic-Id": "now", "Kafka-Offset": "11"}),
        "events.order.1.>": (9, {"Kafka-Topic-Id": "before", "Kafka-Offset": "99"}),
        "events.customer.0.>": (7, {"Kafka-Topic-Id": "c", "Kafka-Offset": "0"}),
    }
    stream = await _open(writer)
    topics = [Topic("events.order", "now", 3), Topic("events.customer", "c", 1)]
    assert await stream.next_offsets(topics) == {("events.order", 0): 12, ("events.customer", 0): 1}


async def test_a_message_of_another_bridge_since_the_stream_was_opened_is_fenced() -> None:
    writer = FakeWriter()
    stream = await _open(writer)
    writer.last_messages = {"events.order.0.>": (1, {"Kafka-Topic-Id": "now", "Kafka-Offset": "0"})}
    with pytest.raises(Fenced, match="another bridge stored message 1, after 0"):
        await stream.next_offsets([Topic("events.order", "now", 1)])


async def test_each_chain_is_given_the_ends_of_the_partitions_that_the_publishes_before_left() -> None:
    writer = FakeWriter()
    writer._last = 5
    writer.last_messages = {"events.order.1.>": (4, {"Kafka-Topic-Id": "now", "Kafka-Offset": "0"})}
    stream = await _open(writer)
    await stream.next_offsets([Topic("events.order", "now", 2)])
    await stream.append(_messages(2))
    await stream.append(_messages(MAX_PIPELINED + 1, first=2))
    await stream.append(_messages(1, first=2 + MAX_PIPELINED + 1))
    assert writer.ends == [
        {"events.order.0.>": 0, "events.order.1.>": 4},
        {"events.order.0.>": 7 + MAX_PIPELINED + 1, "events.order.1.>": 4},
    ]


async def test_the_messages_of_a_partition_are_neighbours_in_a_chain_and_keep_their_order() -> None:
    writer = FakeWriter()
    stream = await _open(writer)
    await stream.append([_message(partition, offset) for offset in range(3) for partition in (1, 0)])
    assert writer.published == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


async def test_a_message_without_an_id_is_published_alone_and_in_its_place() -> None:
    writer = FakeWriter()
    stream = await _open(writer)
    await stream.append([_message(0, 0), _message(0, 1, event_id=None), _message(0, 2)])
    assert writer.publishes == [("chain", 1), ("chain", 1), ("chain", 1)]
    assert [offset for _, offset in writer.published] == [0, 1, 2]


async def test_after_a_repeat_the_chain_goes_on_with_the_next_message() -> None:
    writer = FakeWriter()
    stream = await _open(writer)
    writer.known = {"event-1"}
    await stream.append(_messages(MAX_PIPELINED))
    await stream.append(_messages(1, first=100))
    assert writer.publishes == [("chain", MAX_PIPELINED), ("chain", MAX_PIPELINED - 2), ("chain", 1)]
    assert writer.expected == [0, 1, MAX_PIPELINED - 1]


async def test_only_what_is_stored_of_a_chain_moves_the_end_of_its_partition() -> None:
    writer = FakeWriter()
    writer._last = 5
    stream = await _open(writer)
    writer.known = {"0-1"}
    await stream.append([_message(0, 0), _message(0, 1), _message(1, 0), _message(1, 1)])
    assert writer.publishes == [("chain", 4), ("chain", 2)]
    assert writer.ends == [{}, {"events.order.0.>": 6}]
    await stream.append([_message(1, 2)])
    assert writer.ends[-1] == {"events.order.0.>": 6, "events.order.1.>": 8}


def _message(partition: int, offset: int, event_id: str | None = "") -> Message:
    name = f"{partition}-{offset}" if event_id == "" else event_id
    return translate(builders.record(event_id=name, partition=partition, offset=offset))
