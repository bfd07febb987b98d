"""The consumer from end to end: a handler, a real stream, and the dead letters."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from messaging.consumer import Consumer, ConsumerOptions, RetryPolicy
from messaging.dead_letters import DeadLetters
from messaging.envelope import Envelope
from messaging.pull import PullSubscription
from messaging.streams import DEAD_LETTERS, EVENTS, DurableConsumer, request
from tests.engines import NatsServer
from tests.eventually import eventually_async
from tests.integration.events import make_streams, publish, stored

ORDERS = DurableConsumer("orders", ("events.order.*.*",), ack_wait=1.0)
POLICY = RetryPolicy(attempts=3, attempts_unseen=4, first_delay=0.01, longest_delay=0.05)


class Recorder:
    """A handler that writes down what it has applied; refuses what it is told to refuse."""

    def __init__(self, refuses: Callable[[bytes], bool] = lambda _: False) -> None:
        self._refuses = refuses
        self.applied: list[bytes] = []

    async def __call__(self, envelopes: Sequence[Envelope]) -> None:
        payloads = [envelope.payload for envelope in envelopes]
        for payload in payloads:
            if self._refuses(payload):
                raise ValueError(f"{payload!r} is poison")
        self.applied += payloads

    async def has(self, *payloads: bytes) -> None:
        async def check() -> None:
            assert set(payloads) <= set(self.applied)

        await eventually_async(check)


@asynccontextmanager
async def running(client: Client, handler: Recorder) -> AsyncIterator[Consumer]:
    """The consumer at work, stopped as a service stops it."""
    subscribe = partial(PullSubscription, client, ORDERS)
    options = ConsumerOptions((OSError,), POLICY, batch=16)
    consumer = Consumer("orders", subscribe, DeadLetters(client, "orders"), handler, options)
    task = asyncio.create_task(consumer.run())
    try:
        yield consumer
    finally:
        consumer.stop()
        await task


@pytest.fixture(autouse=True)
async def _streams(client: Client) -> None:
    await make_streams(client)


async def test_every_event_is_applied_once_and_in_order(client: Client) -> None:
    payloads = [b"%d" % number for number in range(200)]
    await publish(client, payloads)
    async with running(client, handler := Recorder()):
        await handler.has(*payloads)
    assert handler.applied == payloads


async def test_a_poison_message_becomes_a_dead_letter_and_the_others_are_applied(client: Client) -> None:
    payloads = [b"%d" % number for number in range(40)]
    await publish(client, [*payloads[:20], b"bad", *payloads[20:]])
    async with running(client, handler := Recorder(lambda payload: payload == b"bad")):
        await handler.has(*payloads)
        [letter] = await _dead_letters(client, 1)
    assert (letter.subject, letter.data) == ("dead.orders", b"bad")
    assert letter.headers is not None
    assert letter.headers["Dead-Letter-Error"] == "ValueError: b'bad' is poison"
    assert letter.headers["Dead-Letter-Subject"] == "events.order.0.OrderCreated"
    assert (letter.headers["Dead-Letter-Sequence"], letter.headers["Dead-Letter-Consumer"]) == ("21", "orders")
    assert (letter.headers["id"], letter.headers["type"]) == ("bad", "OrderCreated")


async def test_a_message_without_an_envelope_is_a_dead_letter(client: Client) -> None:
    await client.jetstream().publish("events.order.0.Unreadable", b"?")
    async with running(client, handler := Recorder()):
        [letter] = await _dead_letters(client, 1)
    assert letter.data == b"?"
    assert handler.applied == []


async def test_after_a_dead_letter_nothing_is_left_to_deliver(client: Client) -> None:
    await publish(client, [b"1", b"bad", b"2"])
    async with running(client, handler := Recorder(lambda payload: payload == b"bad")):
        await handler.has(b"1", b"2")

        async def check() -> None:
            info = await request(client, f"CONSUMER.INFO.{EVENTS}.orders")
            assert (info["num_pending"], info["num_ack_pending"]) == (0, 0)
            assert info["delivered"]["stream_seq"] == 3

        await eventually_async(check)


async def test_a_recreated_stream_is_consumed_from_its_beginning(client: Client) -> None:
    await publish(client, [b"old"])
    async with running(client, handler := Recorder()):
        await handler.has(b"old")
        await request(client, f"STREAM.DELETE.{EVENTS}")
        await make_streams(client)
        await publish(client, [b"new"])
        await handler.has(b"new")


async def test_a_crash_of_the_server_loses_nothing(client: Client, nats_server: NatsServer) -> None:
    await publish(client, [b"before"])
    async with running(client, handler := Recorder()) as consumer:
        await handler.has(b"before")
        await asyncio.to_thread(nats_server.kill)
        await asyncio.to_thread(nats_server.start)
        await eventually_async(partial(_publish_now, client, b"after"))
        await handler.has(b"after")
        assert consumer.fault is None


async def _publish_now(client: Client, payload: bytes) -> None:
    assert client.is_connected
    await publish(client, [payload])


async def _dead_letters(client: Client, count: int) -> list[Msg]:
    async def check() -> list[Msg]:
        letters = await stored(client, DEAD_LETTERS)
        assert len(letters) == count
        return letters

    return await eventually_async(check)
