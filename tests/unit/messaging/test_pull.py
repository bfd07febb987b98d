"""A message wakes `take` when it arrives, and the server always has an open request. On a virtual clock."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from messaging import pull as pull_module
from messaging.errors import SubscriptionLost
from messaging.pull import HEARTBEAT_SECONDS, REQUEST_EXPIRES_SECONDS, SILENCE_SECONDS, Delivery, PullSubscription
from messaging.streams import DurableConsumer
from tests.simulation.clock import VirtualLoop, pass_time

CONSUMER = DurableConsumer("orders", ("events.order.*.*",), ack_wait=6.0)


@dataclass
class Message:
    """A message of the stream, or a status if it has no data."""

    data: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    reply: str = "$JS.ACK.1"
    subject: str = "events.order.0.OrderCreated"
    metadata: Any = field(default_factory=lambda: SimpleNamespace(sequence=SimpleNamespace(stream=1)))


class FakeClient:
    """A connection; what the server would send is handed to `deliver`.

    Attributes:
        requested: when, and how many messages.
    """

    is_closed = False
    is_connected = True

    def __init__(self) -> None:
        self.stats = {"reconnects": 0}
        self.requested: list[tuple[float, int]] = []
        self.published: list[tuple[str, bytes]] = []
        self.deliver: Callable[[Any], Awaitable[None]]

    def new_inbox(self) -> str:
        return "_INBOX.1"

    async def subscribe(self, inbox: str, cb: Callable[[Any], Awaitable[None]]) -> Any:  # noqa: ARG002
        self.deliver = cb
        return SimpleNamespace(unsubscribe=_nothing)

    async def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        if reply:
            self.requested.append((asyncio.get_running_loop().time(), json.loads(payload)["batch"]))
        else:
            self.published.append((subject, payload))

    async def keep_talking(self, seconds: float) -> None:
        """Lets time pass in which the server sends its heartbeats."""
        for _ in range(int(seconds / HEARTBEAT_SECONDS)):
            await pass_time(HEARTBEAT_SECONDS)
            await self.deliver(Message(headers={"Status": "100"}))


async def _nothing() -> None:
    pass


Steps = Callable[[FakeClient, PullSubscription], Coroutine[Any, Any, None]]


@pytest.fixture(autouse=True)
def _consumer_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ensure(client: object, consumer: DurableConsumer) -> None:
        """The durable consumer is as it should be."""

    monkeypatch.setattr(pull_module, "ensure_consumer", ensure)


def _pull(steps: Steps, window: int = 1024) -> None:
    """Does these steps with an open subscription."""

    async def run() -> None:
        client: Any = FakeClient()
        async with PullSubscription(client, CONSUMER, window=window) as subscription:
            await steps(client, subscription)

    VirtualLoop().run(run())


def _now() -> float:
    return asyncio.get_running_loop().time()


def test_a_lone_message_is_taken_when_it_arrives() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        taking = asyncio.create_task(subscription.take(500))
        await pass_time(0.3)
        await client.deliver(Message(b"1"))
        assert [delivery.payload for delivery in await taking] == [b"1"]
        assert _now() == 0.3  # not at the next heartbeat, nor when the request expires

    _pull(steps)


def test_the_messages_that_have_arrived_are_taken_together() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        for number in range(5):
            await client.deliver(Message(b"%d" % number, reply=f"$JS.ACK.{number}"))
        assert [delivery.payload for delivery in await subscription.take(3)] == [b"0", b"1", b"2"]
        assert [delivery.payload for delivery in await subscription.take(3)] == [b"3", b"4"]

    _pull(steps)


def test_messages_are_requested_before_they_are_taken() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        assert client.requested == [(0.0, 1024)]

    _pull(steps)


def test_a_request_that_expires_is_renewed_at_once() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        taking = asyncio.create_task(subscription.take(1))
        await client.keep_talking(REQUEST_EXPIRES_SECONDS)
        await client.deliver(Message(headers={"Status": "408", "Nats-Pending-Messages": "1024"}))
        assert client.requested == [(0.0, 1024), (REQUEST_EXPIRES_SECONDS, 1024)]
        await client.deliver(Message(b"1"))
        await taking

    _pull(steps)


def test_more_is_requested_when_half_of_the_window_is_used() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        for number in range(3):
            await client.deliver(Message(b"%d" % number, reply=f"$JS.ACK.{number}"))
        await subscription.take(1)
        await subscription.take(1)
        assert [count for _, count in client.requested] == [4]
        await subscription.take(1)
        assert [count for _, count in client.requested] == [4, 2]

    _pull(steps, window=4)


def test_nothing_is_requested_while_less_than_half_of_the_window_is_used() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        for number in range(3):
            await client.deliver(Message(b"%d" % number, reply=f"$JS.ACK.{number}"))
        await subscription.take(3)
        await client.deliver(Message(b"3", reply="$JS.ACK.3"))
        assert len(await subscription.take(1)) == 1
        assert [count for _, count in client.requested] == [8]

    _pull(steps, window=8)


def test_a_request_that_ends_without_a_count_is_no_error() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        await client.deliver(Message(headers={"Status": "404"}))
        await client.deliver(Message(b"1"))
        assert len(await subscription.take(1)) == 1

    _pull(steps)


def test_a_message_may_have_a_header_that_a_status_has() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        await client.deliver(Message(b"1", headers={"Status": "503"}))
        [delivery] = await subscription.take(1)
        assert delivery.payload == b"1"

    _pull(steps)


def test_after_a_reconnect_the_subscription_is_lost_and_nothing_is_acked() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        await client.deliver(Message(b"1"))
        [delivery] = await subscription.take(1)
        client.stats["reconnects"] += 1
        await delivery.ack()
        with pytest.raises(SubscriptionLost) as raised:
            await subscription.take(1)
        assert str(raised.value) == "the connection was replaced"
        assert client.published == []

    _pull(steps)


def test_while_the_connection_is_away_nothing_is_acked() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        await client.deliver(Message(b"1"))
        [delivery] = await subscription.take(1)
        client.is_connected = False
        await delivery.ack()
        await pass_time(CONSUMER.ack_wait)
        assert client.published == []

    _pull(steps)


@pytest.mark.parametrize("status", ["409 Consumer Deleted", "503"])
def test_an_error_of_the_server_ends_a_waiting_take_at_once(status: str) -> None:
    code, _, description = status.partition(" ")

    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        taking = asyncio.create_task(subscription.take(1))
        await pass_time(0.3)
        await client.deliver(Message(headers={"Status": code, "Description": description}))
        with pytest.raises(SubscriptionLost) as raised:
            await taking
        assert str(raised.value) == f"status {status}"
        assert _now() == 0.3

    _pull(steps)


def test_stop_ends_a_waiting_take_at_once() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        taking = asyncio.create_task(subscription.take(1))
        await pass_time(0.3)
        subscription.stop()
        assert await taking == []
        assert _now() == 0.3

    _pull(steps)


def test_a_server_that_is_silent_is_lost() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        with pytest.raises(SubscriptionLost, match="no sign from the server"):
            await subscription.take(1)
        assert SILENCE_SECONDS <= _now() <= SILENCE_SECONDS + HEARTBEAT_SECONDS

    _pull(steps)


def test_a_message_in_hand_is_kept_by_an_in_progress_ack_well_before_the_ack_wait() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        await client.deliver(Message(b"1"))
        await subscription.take(1)
        await pass_time(CONSUMER.ack_wait * 0.65)
        assert client.published == []
        await pass_time(CONSUMER.ack_wait * 0.05)
        assert client.published == [("$JS.ACK.1", b"+WPI")]

    _pull(steps)


def test_an_ack_and_a_nak_with_its_delay_are_sent_once_in_the_servers_terms() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        for number in range(3):
            await client.deliver(Message(b"%d" % number, reply=f"$JS.ACK.{number}"))
        acked, delayed, naked = await subscription.take(3)
        await acked.ack()
        await delayed.nak(0.05)
        await naked.nak()
        await acked.nak()
        assert client.published == [
            ("$JS.ACK.0", b"+ACK"),
            ("$JS.ACK.1", b'-NAK {"delay": 50000000}'),
            ("$JS.ACK.2", b"-NAK"),
        ]

    _pull(steps)


def test_messages_that_were_not_taken_are_naked_on_the_way_out() -> None:
    clients: list[FakeClient] = []

    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        clients.append(client)
        await client.deliver(Message(b"1"))

    _pull(steps)
    assert clients[0].published == [("$JS.ACK.1", b"-NAK")]


def test_a_message_in_hand_is_not_settled_after_the_subscription_was_closed() -> None:
    held: list[tuple[FakeClient, Delivery]] = []

    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        await client.deliver(Message(b"1"))
        [delivery] = await subscription.take(1)
        held.append((client, delivery))

    async def settle_late() -> None:
        await held[0][1].ack()

    _pull(steps)
    VirtualLoop().run(settle_late())
    assert held[0][0].published == []
