"""Streams and durable consumers are reconciled to what is written in messaging/streams.py."""

from dataclasses import replace

from nats.aio.client import Client

from messaging.pull import PullSubscription
from messaging.streams import (
    DEAD_LETTERS,
    EVENTS,
    STREAMS,
    DurableConsumer,
    ensure_consumer,
    ensure_stream,
    request,
    retry_subject,
)
from tests.integration.events import make_streams, publish, take_and_ack

ORDERS = DurableConsumer("orders", ("events.order.*.*",))


async def test_streams_are_created_as_written(client: Client) -> None:
    await make_streams(client)
    for name in (EVENTS, DEAD_LETTERS):
        config = (await request(client, f"STREAM.INFO.{name}"))["config"]
        assert {option: config[option] for option in STREAMS[name]} == STREAMS[name]


async def test_creating_a_stream_again_keeps_its_messages(client: Client) -> None:
    await make_streams(client)
    await publish(client, [b"1"])
    assert (await ensure_stream(client, EVENTS))["messages"] == 1


async def test_a_changed_option_of_a_stream_is_put_back(client: Client) -> None:
    await make_streams(client)
    await publish(client, [b"1"])
    config = (await request(client, f"STREAM.INFO.{EVENTS}"))["config"]
    await request(client, f"STREAM.UPDATE.{EVENTS}", config | {"max_age": 10**12, "description": "changed"})
    state = await ensure_stream(client, EVENTS)
    config = (await request(client, f"STREAM.INFO.{EVENTS}"))["config"]
    assert (config["max_age"], config["description"]) == (STREAMS[EVENTS]["max_age"], STREAMS[EVENTS]["description"])
    assert state["messages"] == 1


async def test_a_changed_option_of_a_consumer_is_put_back_and_its_position_kept(client: Client) -> None:
    await make_streams(client)
    await publish(client, [b"1", b"2"])
    changed = replace(ORDERS, ack_wait=99.0, max_ack_pending=1)
    async with PullSubscription(client, changed, window=2) as subscription:
        await take_and_ack(subscription, 1)
    await ensure_consumer(client, ORDERS)
    info = await request(client, f"CONSUMER.INFO.{EVENTS}.orders")
    wanted = ORDERS.config()
    assert {option: info["config"][option] for option in wanted} == wanted
    assert info["ack_floor"]["stream_seq"] == 1


async def test_a_consumer_that_is_as_written_is_not_changed(client: Client) -> None:
    await make_streams(client)
    await ensure_consumer(client, ORDERS)
    before = await request(client, f"CONSUMER.INFO.{EVENTS}.orders")
    await ensure_consumer(client, ORDERS)
    assert (await request(client, f"CONSUMER.INFO.{EVENTS}.orders"))["created"] == before["created"]


async def test_an_older_instance_does_not_take_a_newer_ones_subjects_away(client: Client) -> None:
    await make_streams(client)
    newer = replace(ORDERS, subjects=("events.order.*.OrderCreated", "events.order.*.OrderSplit"))
    older = replace(ORDERS, subjects=("events.order.*.OrderCreated",))
    for instance in (newer, older):
        await ensure_consumer(client, instance)
    await publish(client, [b"1"], "OrderSplit")
    async with PullSubscription(client, older) as subscription:
        assert await take_and_ack(subscription, 1) == [b"1"]


async def test_a_dead_letter_that_is_sent_again_reaches_every_generation_of_the_service(client: Client) -> None:
    await make_streams(client)
    await client.jetstream().publish(retry_subject("orders"), b"again")
    for generation in ("a", "b"):
        async with PullSubscription(client, replace(ORDERS, generation=generation)) as subscription:
            assert await take_and_ack(subscription, 1) == [b"again"]
