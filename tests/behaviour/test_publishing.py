"""What the bridge relies on when it publishes to JetStream."""

import pytest
from nats.aio.client import Client

from messaging.dead_letters import DeadLetters
from messaging.errors import Undecodable
from messaging.pull import PullSubscription
from messaging.streams import DEAD_LETTERS, EVENTS, DurableConsumer, request
from services.bridge.jetstream import EventsWriter, Fenced, RepeatInBatch
from services.bridge.translate import Message
from tests.behaviour.parts import Nats

ORDERS = DurableConsumer("orders", ("events.order.*.*",), ack_wait=30.0)


def _message(event_id: str, subject: str = "events.order.0.OrderCreated") -> Message:
    return Message(subject, {"Nats-Msg-Id": event_id, "id": event_id, "type": "OrderCreated"}, event_id.encode())


async def _publish(writer: EventsWriter, event_id: str, expected: int) -> int:
    """The stream's last sequence after one message."""
    done, last = await writer.publish_pipelined([_message(event_id)], expected, {})
    assert done == 1
    return last


@pytest.fixture
def writer(client: Client) -> EventsWriter:
    return EventsWriter(client)


async def test_a_new_stream_ends_with_zero_and_each_message_adds_one(writer: EventsWriter) -> None:
    assert await writer.open() == 0
    assert await _publish(writer, "a", 0) == 1
    assert await _publish(writer, "b", 1) == 2
    assert await writer.open() == 2


async def test_a_publish_after_another_end_is_refused_and_stores_nothing(writer: EventsWriter) -> None:
    await writer.open()
    await _publish(writer, "a", 0)
    with pytest.raises(Fenced):
        await _publish(writer, "b", 0)
    assert await writer.last_sequence() == 1


async def test_a_repeat_is_left_out_and_the_end_stays(writer: EventsWriter) -> None:
    await writer.open()
    await _publish(writer, "a", 0)
    await _publish(writer, "b", 1)
    assert await _publish(writer, "a", 2) == 2
    assert await writer.last_sequence() == 2


async def test_a_repeat_after_another_end_is_refused_by_the_fence(writer: EventsWriter) -> None:
    await writer.open()
    await _publish(writer, "a", 0)
    with pytest.raises(Fenced):
        await _publish(writer, "a", 0)


async def test_a_batch_is_stored_whole_and_in_order(writer: EventsWriter) -> None:
    await writer.open()
    assert await writer.publish_batch([_message("a"), _message("b"), _message("c")], 0) == 3
    last = await writer.last_message("events.order.0.>")
    assert last is not None
    assert (last[0], last[1]["id"]) == (3, "c")


async def test_a_batch_after_another_end_stores_nothing(writer: EventsWriter) -> None:
    await writer.open()
    await _publish(writer, "a", 0)
    with pytest.raises(Fenced):
        await writer.publish_batch([_message("b"), _message("c")], 0)
    assert await writer.last_sequence() == 1


@pytest.mark.parametrize("ids", [["b", "a"], ["b", "b"]])
async def test_a_batch_with_a_repeat_stores_nothing(writer: EventsWriter, ids: list[str]) -> None:
    await writer.open()
    await _publish(writer, "a", 0)
    with pytest.raises(RepeatInBatch):
        await writer.publish_batch([_message(event_id) for event_id in ids], 1)
    assert await writer.last_sequence() == 1


async def test_a_repeat_in_a_batch_is_seen_before_the_fence(writer: EventsWriter) -> None:
    await writer.open()
    await _publish(writer, "a", 0)
    with pytest.raises(RepeatInBatch):
        await writer.publish_batch([_message("a"), _message("b")], 0)


async def test_a_chain_is_stored_in_order(writer: EventsWriter) -> None:
    await writer.open()
    assert await writer.publish_pipelined([_message("a"), _message("b"), _message("c")], 0, {}) == (3, 3)
    last = await writer.last_message("events.order.0.>")
    assert last is not None
    assert (last[0], last[1]["id"]) == (3, "c")


@pytest.mark.parametrize(("ids", "done"), [(["b", "a", "c"], 2), (["b", "b", "c"], 2), (["a", "b", "c"], 1)])
async def test_a_chain_ends_with_a_repeat_that_is_left_out(writer: EventsWriter, ids: list[str], done: int) -> None:
    await writer.open()
    await _publish(writer, "a", 0)
    assert await writer.publish_pipelined([_message(event_id) for event_id in ids], 1, {}) == (done, done)
    assert await writer.last_sequence() == done


async def test_nothing_of_a_chain_is_stored_after_another_bridge_has_stored_a_message(
    client: Client, writer: EventsWriter
) -> None:
    await writer.open()
    another = EventsWriter(client)
    await another.open()
    await _publish(another, "x", 0)
    with pytest.raises(Fenced):
        await writer.publish_pipelined([_message("a"), _message("b"), _message("c")], 0, {})
    assert await writer.last_sequence() == 1


async def test_a_chain_ends_where_another_bridge_has_stored_a_message_of_the_next_partition(
    client: Client, writer: EventsWriter
) -> None:
    await writer.open()
    another = EventsWriter(client)
    await another.open()
    other_partition = "events.order.1.OrderCreated"
    await another.publish_pipelined([_message("y", other_partition), _message("b")], 0, {})
    with pytest.raises(Fenced):
        await writer.publish_pipelined([_message("a"), _message("b"), _message("z", other_partition)], 0, {})
    assert await writer.last_sequence() == 2


async def test_a_chain_continues_in_another_partition_after_the_last_message_of_that_partition(
    writer: EventsWriter,
) -> None:
    await writer.open()
    other_partition = "events.order.1.OrderCreated"
    await writer.publish_pipelined([_message("y", other_partition)], 0, {})
    chain = [_message("a"), _message("z", other_partition), _message("zz", other_partition)]
    assert await writer.publish_pipelined(chain, 1, {"events.order.1.>": 1}) == (3, 4)


async def test_the_last_message_is_found_by_a_wildcard(writer: EventsWriter) -> None:
    await writer.open()
    await _publish(writer, "a", 0)
    await writer.publish_pipelined([_message("b", "events.order.1.OrderApproved")], 1, {})
    await writer.publish_pipelined([_message("c", "events.customer.0.CustomerCreated")], 2, {})
    found = [await writer.last_message(f"events.order.{partition}.>") for partition in range(3)]
    assert [last and (last[0], last[1]["id"]) for last in found] == [(1, "a"), (2, "b"), None]


async def test_a_recreated_stream_ends_with_zero_and_remembers_no_event_id(
    client: Client, writer: EventsWriter
) -> None:
    await writer.open()
    await _publish(writer, "a", 0)
    await request(client, f"STREAM.DELETE.{EVENTS}")
    assert await writer.open() == 0
    assert await _publish(writer, "a", 0) == 1


async def test_stored_messages_and_their_event_ids_survive_a_crash_of_the_server(
    nats: Nats, writer: EventsWriter
) -> None:
    await writer.open()
    await writer.publish_batch([_message("a"), _message("b")], 0)
    nats.restart()
    after = EventsWriter(await nats.connect())
    assert await after.open() == 2
    assert await _publish(after, "b", 2) == 2


@pytest.mark.parametrize("how", ["chain", "batch"])
async def test_a_message_that_the_bridge_stored_can_become_a_dead_letter(
    client: Client, writer: EventsWriter, how: str
) -> None:
    await writer.open()
    messages = [_message("a"), _message("b")]
    await (writer.publish_batch(messages, 0) if how == "batch" else writer.publish_pipelined(messages, 0, {}))
    async with PullSubscription(client, ORDERS) as subscription:
        [delivery] = await subscription.take(1)
        await DeadLetters(client, "orders").store(delivery, Undecodable("poison"))
        await delivery.ack()
    letter = await client.jetstream().get_last_msg(DEAD_LETTERS, "dead.orders")
    headers = letter.headers or {}
    assert (letter.data, headers["id"], headers["Dead-Letter-Sequence"]) == (b"a", "a", "1")
