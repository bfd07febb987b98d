"""The server always has an open request, for as many messages as the window has room for. On a virtual clock."""

import asyncio
from typing import Any

import pytest

from messaging import pull as pull_module
from messaging.consumer import BATCH
from messaging.pull import REQUEST_EXPIRES_SECONDS, PullSubscription
from messaging.streams import DurableConsumer
from tests.simulation.clock import VirtualLoop
from tests.unit.messaging.pulling import CONSUMER, FakeClient, Message, pull


@pytest.fixture(autouse=True)
def _consumer_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ensure(client: object, consumer: DurableConsumer) -> None:
        """The durable consumer is as it should be."""

    monkeypatch.setattr(pull_module, "ensure_consumer", ensure)


def test_messages_are_requested_before_they_are_taken() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        assert client.requested == [(0.0, 1024)]

    pull(steps)


def test_by_default_several_batches_are_requested() -> None:
    async def run() -> None:
        client: Any = FakeClient()
        async with PullSubscription(client, CONSUMER):
            assert client.requested == [(0.0, 1024)]
        assert 4 * BATCH <= 1024

    VirtualLoop().run(run())


def test_a_request_that_expires_is_renewed_at_once() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        taking = asyncio.create_task(subscription.take(1))
        await client.keep_talking(REQUEST_EXPIRES_SECONDS)
        await client.deliver(Message(headers={"Status": "408", "Nats-Pending-Messages": "1024"}))
        assert client.requested == [(0.0, 1024), (REQUEST_EXPIRES_SECONDS, 1024)]
        await client.deliver(Message(b"1"))
        await taking

    pull(steps)


def test_more_is_requested_when_half_of_the_window_is_used() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        for number in range(3):
            await client.deliver(Message(b"%d" % number, reply=f"$JS.ACK.{number}"))
        await subscription.take(1)
        await subscription.take(1)
        assert [count for _, count in client.requested] == [4]
        await subscription.take(1)
        assert [count for _, count in client.requested] == [4, 2]

    pull(steps, window=4)


def test_nothing_is_requested_while_less_than_half_of_the_window_is_used() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        for number in range(3):
            await client.deliver(Message(b"%d" % number, reply=f"$JS.ACK.{number}"))
        await subscription.take(3)
        await client.deliver(Message(b"3", reply="$JS.ACK.3"))
        assert len(await subscription.take(1)) == 1
        assert [count for _, count in client.requested] == [8]

    pull(steps, window=8)


@pytest.mark.parametrize(("window", "used"), [(1, 1), (2, 1), (3, 1), (5, 2)])
def test_a_small_window_is_filled_up_when_half_of_it_is_used(window: int, used: int) -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        for number in range(used):
            await client.deliver(Message(b"%d" % number, reply=f"$JS.ACK.{number}"))
        await subscription.take(used)
        await client.deliver(Message(headers={"Status": "100"}))
        await subscription._top_up()
        assert [count for _, count in client.requested] == [window, used]

    pull(steps, window=window)


def test_what_was_requested_before_counts_when_more_is_requested() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        for used in (4, 3, 1):
            for number in range(used):
                await client.deliver(Message(b"%d" % number, reply=f"$JS.ACK.{used}.{number}"))
            await subscription.take(used)
        await subscription._top_up()
        assert [count for _, count in client.requested] == [8, 4, 4]

    pull(steps, window=8)


def test_a_request_that_ends_without_a_count_is_no_error() -> None:
    async def steps(client: FakeClient, subscription: PullSubscription) -> None:
        await client.deliver(Message(headers={"Status": "404"}))
        await client.deliver(Message(b"1"))
        assert len(await subscription.take(1)) == 1

    pull(steps)
