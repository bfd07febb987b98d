"""The bridge's side of the stream on a real NATS server."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import copytree, rmtree

import pytest
from nats.aio.client import Client

from messaging.pull import PullSubscription
from messaging.streams import EVENTS, DurableConsumer, request
from services.bridge.event_stream import EventStream
from services.bridge.jetstream import EventsWriter, Fenced
from services.bridge.kafka import Topic
from services.bridge.translate import Message, translate
from tests import builders
from tests.engines import NatsServer
from tests.eventually import eventually_async
from tests.integration.events import stored, take_and_ack

ORDERS = Topic("events.order", "topic-1", 4)


def _message(offset: int, partition: int = 0, event_id: str | None = None) -> Message:
    event_id = event_id or f"event-{partition}-{offset}"
    return translate(builders.record(b"%d" % offset, event_id=event_id, partition=partition, offset=offset))


@pytest.fixture
async def stream(client: Client) -> EventStream:
    stream = EventStream(EventsWriter(client))
    await stream.open()
    return stream


async def _payloads(client: Client) -> list[int]:
    return [int(message.data) for message in await stored(client, EVENTS)]


@pytest.mark.parametrize("count", [1, 2, 500, 1000, 1001, 2500])
async def test_messages_are_stored_in_order_however_many(client: Client, stream: EventStream, count: int) -> None:
    await stream.append([_message(offset) for offset in range(count)])
    assert await _payloads(client) == list(range(count))


async def test_a_repeat_in_a_batch_is_left_out_and_the_rest_is_stored(client: Client, stream: EventStream) -> None:
    await stream.append([_message(offset) for offset in range(3)])
    repeated = [_message(10, event_id="event-0-1"), _message(11), _message(12, event_id="event-0-11"), _message(13)]
    await stream.append(repeated)
    assert await _payloads(client) == [0, 1, 2, 11, 13]
    await stream.append([_message(14), _message(15)])
    assert await _payloads(client) == [0, 1, 2, 11, 13, 14, 15]


async def test_a_second_bridge_is_fenced_and_nothing_of_its_batch_is_stored(
    client: Client, stream: EventStream
) -> None:
    second = EventStream(EventsWriter(client))
    await second.open()
    await stream.append([_message(0), _message(1)])
    for late in ([_message(2), _message(3)], [_message(4)]):
        with pytest.raises(Fenced):
            await second.append(late)
    assert await _payloads(client) == [0, 1]
    await second.open()
    await second.append([_message(2), _message(3)])
    with pytest.raises(Fenced):
        await stream.append([_message(4)])


async def test_each_partitions_position_is_that_of_its_own_last_message(client: Client, stream: EventStream) -> None:
    await stream.append([_message(5, partition=0), _message(7, partition=2), _message(6, partition=0)])
    assert await stream.next_offsets([ORDERS]) == {("events.order", 0): 7, ("events.order", 2): 8}


async def test_a_few_messages_of_alternating_partitions_are_stored_in_the_order_of_each(client: Client) -> None:
    for first in (0, 6):
        stream = EventStream(EventsWriter(client))
        await stream.open()
        await stream.next_offsets([ORDERS])
        for start in (first, first + 3):
            await stream.append([_message(start + place, partition) for place in range(3) for partition in (2, 0, 1)])
    messages = await stored(client, EVENTS)
    for partition in range(3):
        assert [int(m.data) for m in messages if m.subject.startswith(f"events.order.{partition}.")] == [*range(12)]


async def test_an_empty_stream_has_no_positions(stream: EventStream) -> None:
    assert await stream.next_offsets([ORDERS]) == {}


async def test_messages_of_another_topic_with_the_same_name_say_nothing_of_its_position(stream: EventStream) -> None:
    await stream.append([_message(5)])
    assert await stream.next_offsets([replace(ORDERS, id="topic-2")]) == {}


async def test_a_stream_made_anew_is_filled_and_read_from_its_beginning(client: Client, stream: EventStream) -> None:
    await stream.append([_message(0), _message(1)])
    orders = DurableConsumer("orders", ("events.order.*.*",))
    async with PullSubscription(client, orders) as subscription:
        await take_and_ack(subscription, 2)
    await request(client, f"STREAM.DELETE.{EVENTS}")
    await stream.open()
    assert await stream.next_offsets([ORDERS]) == {}
    await stream.append([_message(0), _message(1), _message(2)])
    async with PullSubscription(client, orders) as subscription:
        assert await take_and_ack(subscription, 3) == [b"0", b"1", b"2"]


async def test_a_look_finds_the_stream_as_this_bridge_left_it(stream: EventStream) -> None:
    await stream.check()
    await stream.append([_message(0), _message(1)])
    await stream.check()


async def test_a_look_finds_a_stream_that_was_made_anew(client: Client, stream: EventStream) -> None:
    await stream.append([_message(0), _message(1)])
    await request(client, f"STREAM.DELETE.{EVENTS}")
    with pytest.raises(Fenced, match="ends with message 0, not 2"):
        await stream.check()


async def test_a_look_finds_what_another_bridge_has_stored(client: Client, stream: EventStream) -> None:
    second = EventStream(EventsWriter(client))
    await second.open()
    await second.append([_message(0)])
    with pytest.raises(Fenced, match="ends with message 1, not 0"):
        await stream.check()


async def test_a_look_finds_a_tail_that_was_lost(
    client: Client, stream: EventStream, nats_server: NatsServer, tmp_path: Path
) -> None:
    present, older = tmp_path / "jetstream", tmp_path / "older"
    await stream.append([_message(0), _message(1)])
    nats_server.stop()
    copytree(present, older)
    nats_server.start()
    await eventually_async(partial(_is_connected, client, 1))
    await stream.open()
    await stream.append([_message(2), _message(3)])
    nats_server.stop()
    rmtree(present)
    older.rename(present)
    nats_server.start()
    await eventually_async(partial(_is_connected, client, 2))
    with pytest.raises(Fenced, match="ends with message 2, not 4"):
        await stream.check()
    await stream.open()
    assert await stream.next_offsets([ORDERS]) == {("events.order", 0): 2}


async def _is_connected(client: Client, times: int) -> None:
    assert client.is_connected
    assert client.stats["reconnects"] == times
