"""Events that are in the stream twice, under message ids that the server does not recognise, change nothing."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from uuid import uuid4

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts.headers import MESSAGE_ID
from infra.native import Stack
from messaging.connection import connect
from messaging.progress import read_progress
from messaging.streams import DEAD_LETTERS, EVENTS, consumer_infos, request
from tests.checker import assert_converges
from tests.drivers import Json, System
from tests.eventually import eventually_async
from tests.integration.events import stored

T = TypeVar("T")


@pytest.fixture(scope="module")
def customer(system: System) -> int:
    """A customer with an approved, a rejected and a cancelled order; all parts agree."""
    customer = system.customers.create(limit=10)
    approved, rejected, cancelled = (system.orders.place(customer, total) for total in (4, 100, 5))
    for order in (approved, rejected, cancelled):
        system.orders.settled(order)
    system.orders.cancel(cancelled)
    assert_converges(system, customer)
    return customer


def test_events_that_are_stored_twice_under_different_message_ids_change_nothing(
    stack: Stack, system: System, customer: int
) -> None:
    before = _everything(system, customer)
    dead = _with_client(stack, _dead_letters)
    assert _with_client(stack, lambda client: _store_again(client, customer)) > 5
    _with_client(stack, _consumed)
    assert _everything(system, customer) == before
    assert _with_client(stack, _dead_letters) == dead
    assert_converges(system, customer)


def test_an_order_placed_after_the_repeated_events_is_approved(system: System, customer: int) -> None:
    order = system.orders.place(customer, total=6)
    assert system.orders.settled(order)["orderState"] == "APPROVED"
    assert_converges(system, customer)


def _everything(system: System, customer: int) -> Sequence[Json | list[Json]]:
    return [
        system.customers.read(customer),
        system.orders.of(customer),
        system.history.customer(customer),
        system.history.orders(customer),
    ]


async def _store_again(client: Client, customer: int) -> int:
    """Stores a copy of each event about the customer, newest first; returns how many."""
    events = [message for message in await stored(client, EVENTS) if _is_about(message, customer)]
    for event in reversed(events):
        # Nats- headers are instructions to the server: the bridge's fence and the marks of its batches.
        own = {name: value for name, value in (event.headers or {}).items() if not name.startswith("Nats-")}
        headers = own | {MESSAGE_ID: str(uuid4())}
        await client.jetstream().publish(event.subject, event.data, headers=headers)
    return len(events)


def _is_about(message: Msg, customer: int) -> bool:
    return bool(json.loads(message.data).get("customerId") == customer)


async def _consumed(client: Client) -> None:
    """Waits until every consumer has acknowledged all its messages in the stream."""

    async def check() -> None:
        left = {info["name"]: read_progress(info).left for info in await consumer_infos(client, EVENTS)}
        assert len(left) >= 3
        assert not any(left.values()), left

    await eventually_async(check)


async def _dead_letters(client: Client) -> int:
    return int((await request(client, f"STREAM.INFO.{DEAD_LETTERS}"))["state"]["messages"])


def _with_client(stack: Stack, work: Callable[[Client], Awaitable[T]]) -> T:
    """Runs the work with a connection that is closed afterwards."""

    async def run() -> T:
        environment = stack.environment("order")
        client = await connect(environment["NATS_URL"], environment["NATS_TOKEN"], "test")
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(run())
