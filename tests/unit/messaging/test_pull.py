"""A message wakes `take` when it arrives, and is settled once. On a virtual clock."""

import asyncio
from typing import Any

import pytest

from messaging import pull as pull_module
from messaging.errors import ConnectionGone, SubscriptionLost
from messaging.pull import HEARTBEAT_SECONDS, SILENCE_SECONDS, Delivery, PullSubscription
from messaging.streams import DurableConsumer
from tests.simulation.clock import VirtualLoop, pass_time
from tests.unit.messaging.pulling import CONSUMER, FakeClient, Message, pull


@pytest.fixture(autouse=True)
def _consumer_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ensure(client: object, consumer: DurableConsumer) -> None:
        """The durable consumer is as it should be."""

    monkeypatch.setattr(pull_module, "ensure_consumer", ensure)


def _now() -> float:
    return asyncio.get_running_loop().time()


def test_a_lone_message_is_taken_when_it_arrives() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        taking = asyncio.create_task(subscription.take(500))
        await pass_time(0.3)
        await client.deliver(Message(b"1"))
        assert [delivery.payload for delivery in await taking] == [b"1"]
        assert _now() == 0.3  # not at the next heartbeat, nor when the request expires

    pull(steps)


def test_the_messages_that_have_arrived_are_taken_together() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        for number in range(5):
            await client.deliver(Message(b"%d" % number, reply=f"$JS.ACK.{number}"))
        assert [delivery.payload for delivery in await subscription.take(3)] == [b"0", b"1", b"2"]
        assert [delivery.payload for delivery in await subscription.take(3)] == [b"3", b"4"]

    pull(steps)


def test_a_message_may_have_a_header_that_a_status_has() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        await client.deliver(Message(b"1", headers={"Status": "503"}))
        [delivery] = await subscription.take(1)
        assert delivery.payload == b"1"

    pull(steps)


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

    pull(steps)


def test_while_the_connection_is_away_nothing_is_acked() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        await client.deliver(Message(b"1"))
        [delivery] = await subscription.take(1)
        client.is_connected = False
        await delivery.ack()
        await pass_time(CONSUMER.ack_wait)
        assert client.published == []

    pull(steps)


@pytest.mark.parametrize("status", ["409 Consumer Deleted", "503"])
def test_an_error_of_the_server_ends_a_waiting_take_at_once(status: str) -> None:
    code, _, description = status.partition(" ")

    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        taking = asyncio.create_task(subscription.take(1))
        await pass_time(0.3)
        headers = {"Status": code, "Description": description} if description else {"Status": code}
        await client.deliver(Message(headers=headers))
        with pytest.raises(SubscriptionLost) as raised:
            await taking
        assert str(raised.value) == f"status {status}"
        assert _now() == 0.3

    pull(steps)


def test_stop_ends_a_waiting_take_at_once() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        taking = asyncio.create_task(subscription.take(1))
        await pass_time(0.3)
        subscription.stop()
        assert await taking == []
        assert _now() == 0.3

    pull(steps)


def test_after_stop_nothing_is_taken_even_if_messages_have_arrived() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        await client.deliver(Message(b"1"))
        subscription.stop()
        assert await subscription.take(1) == []

    pull(steps)


def test_after_its_end_a_subscription_acks_nothing_and_takes_nothing() -> None:
    async def run() -> None:
        client: Any = FakeClient()
        async with PullSubscription(client, CONSUMER) as subscription:
            await client.deliver(Message(b"1"))
            [delivery] = await subscription.take(1)
        await delivery.ack()
        with pytest.raises(SubscriptionLost) as raised:
            await subscription.take(1)
        assert str(raised.value) == "closed"
        assert client.published == []
        assert client.unsubscribed == 1

    VirtualLoop().run(run())


async def test_a_connection_that_is_closed_for_good_is_refused() -> None:
    client: Any = FakeClient()
    client.is_closed = True
    with pytest.raises(ConnectionGone) as raised:
        await PullSubscription(client, CONSUMER).__aenter__()
    assert str(raised.value) == "the connection to NATS is closed"


def test_a_connection_that_was_closed_meanwhile_is_not_used_at_the_end() -> None:
    clients: list[FakeClient] = []

    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        clients.append(client)
        client.is_closed = True

    pull(steps)
    assert clients[0].unsubscribed == 0


def test_a_server_that_is_silent_is_lost() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        with pytest.raises(SubscriptionLost, match="no sign from the server"):
            await subscription.take(1)
        assert SILENCE_SECONDS <= _now() <= SILENCE_SECONDS + HEARTBEAT_SECONDS

    pull(steps)


def test_a_message_in_hand_is_kept_by_an_in_progress_ack_well_before_the_ack_wait() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        await client.deliver(Message(b"1"))
        await subscription.take(1)
        await pass_time(CONSUMER.ack_wait * 0.65)
        assert client.published == []
        await pass_time(CONSUMER.ack_wait * 0.05)
        assert client.published == [("$JS.ACK.1", b"+WPI")]

    pull(steps)


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

    pull(steps)


def test_messages_that_were_not_taken_are_naked_on_the_way_out() -> None:
    clients: list[FakeClient] = []

    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        clients.append(client)
        await client.deliver(Message(b"1"))

    pull(steps)
    assert clients[0].published == [("$JS.ACK.1", b"-NAK")]


def test_a_message_in_hand_is_not_settled_after_the_subscription_was_closed() -> None:
    held: list[tuple[FakeClient, Delivery]] = []

    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        await client.deliver(Message(b"1"))
        [delivery] = await subscription.take(1)
        held.append((client, delivery))

    async def settle_late() -> None:
        await held[0][1].ack()

    pull(steps)
    VirtualLoop().run(settle_late())
    assert held[0][0].published == []
