"""The worker that manages the view's generations, with a real stream and a real MongoDB."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial

import pytest
from nats.aio.client import Client
from pymongo import MongoClient

from messaging.connection import Connection
from messaging.envelope import Envelope
from messaging.streams import EVENTS, consumer_infos, request
from messaging.subscriber import Subscriber
from runtime.workers import Worker
from services.history.generations import Generations
from services.history.ports import Ports
from services.history.service import assemble
from services.history.settings import Settings
from services.history.views import Views
from services.history.watch import Watch
from tests.eventually import eventually_async
from tests.integration.events import make_streams

GRACE_SECONDS = 1.0


class CountedViews(Views):
    """Counts the looks, of which each could lead to a swap."""

    looks = 0

    async def look(self) -> Generations:
        self.looks += 1
        return await super().look()


class Instance:
    """The worker of one history service, as `assemble` puts it together.

    Attributes:
        fills_only: if set, the events for other generations wait until `released`.
    """

    def __init__(self, stream: Connection, mongodb_url: str, grace: float = GRACE_SECONDS) -> None:
        self.views = CountedViews(mongodb_url)
        self.fills_only: str | None = None
        self.released = asyncio.Event()
        settings = Settings(mongodb_url=mongodb_url, nats_url="", nats_token="", http_port=0, view_grace_seconds=grace)
        service = assemble(Ports(self.views, stream), settings)
        watch = service.workers["watch"]
        assert isinstance(watch, Watch)
        self.watch = watch
        self._fill, watch.fill = watch.fill, self._fill_when_released

    def _fill_when_released(self, generation: str) -> Worker:
        subscriber = self._fill(generation)
        assert isinstance(subscriber, Subscriber)
        handle = subscriber.handler

        async def wait_and_handle(envelopes: Sequence[Envelope]) -> None:
            if self.fills_only not in (None, generation):
                await self.released.wait()
            await handle(envelopes)

        subscriber.handler = wait_and_handle
        return subscriber


@asynccontextmanager
async def running(instance: Instance) -> AsyncIterator[asyncio.Task[None]]:
    """Stopped in the end as a service stops it."""
    task = asyncio.create_task(instance.watch.run())
    try:
        yield task
    finally:
        instance.watch.stop()
        await asyncio.wait({task})
        instance.views.close()


@pytest.fixture(autouse=True)
async def _streams(client: Client) -> None:
    await make_streams(client)


@pytest.fixture
async def instance(stream: Connection, mongodb_url: str) -> AsyncIterator[Instance]:
    instance = Instance(stream, mongodb_url)
    yield instance
    instance.views.close()


async def _tell(client: Client, *customers: int) -> None:
    for number in customers:
        payload = b'{"customerId": %d, "name": "Jane", "creditLimit": {"amount": 5}, "version": 1}' % number
        headers = {"id": f"event-{number}", "type": "CustomerCreated"}
        await client.jetstream().publish("events.customer.0.CustomerCreated", payload, headers=headers)


async def _live(views: Views, *, other_than: str | None = None) -> str:
    async def look() -> str:
        live = (await views.look()).live
        assert live not in (None, other_than)
        return str(live)

    return await eventually_async(look)


async def _shows(views: Views, count: int) -> None:
    async def look() -> None:
        assert await views.count_customers() == count

    await eventually_async(look)


async def test_a_first_view_is_live_as_soon_as_it_has_what_is_in_the_stream(instance: Instance, client: Client) -> None:
    await _tell(client, *range(1, 301))
    async with running(instance):
        await _live(instance.views)
        assert await instance.views.count_customers() == 300
        await eventually_async(partial(_has_no_fault, instance))


async def _has_no_fault(instance: Instance) -> None:
    assert instance.watch.fault is None


async def test_the_view_of_an_empty_stream_is_empty_and_live(instance: Instance) -> None:
    async with running(instance):
        await _live(instance.views)
        assert await instance.views.count_customers() == 0


async def test_while_nothing_is_live_the_service_is_not_ready(instance: Instance) -> None:
    assert instance.watch.fault == "the view is being built"


async def test_a_generation_that_was_swapped_out_is_dropped_after_the_grace_and_not_before(
    stream: Connection, mongodb_url: str, client: Client
) -> None:
    await _tell(client, 1)
    patient = Instance(stream, mongodb_url, grace=600.0)
    async with running(patient):
        first = await _live(patient.views)
        await patient.views.begin()
        second = await _live(patient.views, other_than=first)
        await _looked_again(patient)
        assert await patient.views.stored() == {first, second}
        assert await _places(client) == {f"history_{first}", f"history_{second}"}
    impatient = Instance(stream, mongodb_url)
    async with running(impatient):
        await eventually_async(partial(_only, second, impatient.views, client))
        await _shows(impatient.views, 1)


async def _looked_again(instance: Instance) -> None:
    async def check() -> None:
        assert len(instance.watch._fillings) == 1

    await eventually_async(check)


async def _only(generation: str, views: Views, client: Client) -> None:
    assert await views.stored() == {generation}
    assert await _places(client) == {f"history_{generation}"}


async def _places(client: Client) -> set[str]:
    return {info["name"] for info in await consumer_infos(client, EVENTS)}


async def test_events_that_arrive_while_a_generation_is_built_are_in_both(instance: Instance, client: Client) -> None:
    async with running(instance):
        first = await _live(instance.views)
        await instance.views.begin()
        await _tell(client, 1, 2)
        await _shows(instance.views, 2)
        await _live(instance.views, other_than=first)
        await _tell(client, 3)
        await _shows(instance.views, 3)


async def test_the_live_generation_is_paused_while_it_is_swapped_out(instance: Instance, client: Client) -> None:
    async with running(instance):
        first = await _live(instance.views)
        await instance.views.begin()
        await _live(instance.views, other_than=first)
        info = await request(client, f"CONSUMER.INFO.{EVENTS}.history_{first}")
        assert info["paused"]


async def test_a_generation_that_is_behind_the_live_one_is_not_swapped_in(instance: Instance, client: Client) -> None:
    async with running(instance):
        first = await _live(instance.views)
        instance.fills_only = first
        await _tell(client, 1)
        await instance.views.begin()
        await _shows(instance.views, 1)
        await eventually_async(partial(_are_in_hand, client, first, 1))
        await eventually_async(partial(_looked, instance.views, instance.views.looks + 3))
        assert (await instance.views.look()).live == first
        instance.released.set()
        await _live(instance.views, other_than=first)
        assert await instance.views.count_customers() == 1


async def _looked(views: CountedViews, times: int) -> None:
    assert views.looks >= times


async def _are_in_hand(client: Client, live: str, count: int) -> None:
    """The other generation's consumer has handed them out and has no answer yet."""
    in_hand = {info["name"]: info["num_ack_pending"] for info in await consumer_infos(client, EVENTS)}
    del in_hand[f"history_{live}"]
    assert list(in_hand.values()) == [count]


async def test_a_rebuild_whose_instance_is_killed_is_finished_by_another(
    stream: Connection, mongodb_url: str, client: Client
) -> None:
    await _tell(client, *range(1, 51))
    killed, successor = Instance(stream, mongodb_url), Instance(stream, mongodb_url)
    async with running(killed) as task:
        first = await _live(killed.views)
        killed.fills_only = first
        building = await killed.views.begin()
        await eventually_async(partial(_are_in_hand, client, first, 50))
        task.cancel()
    async with running(successor):
        assert await _live(successor.views, other_than=first) == building
        assert await successor.views.count_customers() == 50


async def test_a_wiped_view_is_built_anew_by_two_instances_at_once(
    stream: Connection, mongodb_url: str, client: Client
) -> None:
    await _tell(client, *range(1, 51))
    one, other = Instance(stream, mongodb_url), Instance(stream, mongodb_url)
    async with running(one), running(other):
        first = await _live(one.views)
        await asyncio.to_thread(_drop_database, mongodb_url)
        second = await _live(other.views, other_than=first)
        assert await one.views.count_customers() == 50
        await eventually_async(partial(_only, second, other.views, client))


def _drop_database(url: str) -> None:
    with closing(MongoClient[dict[str, object]](url)) as client:
        client.drop_database(client.get_default_database())
