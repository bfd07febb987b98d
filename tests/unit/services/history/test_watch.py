"""When a generation is swapped in, with a view and a stream in memory and on a virtual clock."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from nats.aio.client import Client

from messaging.progress import Progress
from messaging.streams import DurableConsumer
from services.history import watch as watch_module
from services.history.generations import Generations
from services.history.views import ViewUnavailable
from services.history.watch import BUILDING_LOOK_SECONDS, LOOK_SECONDS, STANDSTILL_SECONDS, Watch
from tests.simulation.clock import VirtualLoop, pass_time
from tests.unit.messaging.stream import NoStream, OpenStream
from tests.unit.services.history.ports import FakeViews


class Filling:
    """The worker that fills a generation."""

    fault: str | None = None

    def __init__(self) -> None:
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        await self._stopping.wait()

    def stop(self) -> None:
        self._stopping.set()


class FakeStream:
    """How far the consumers of the generations are, and which of them are paused until when.

    Attributes:
        left: by generation, how many messages its consumer has not acknowledged.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: dict[str, int] = {}
        self.paused: list[tuple[str, float]] = []
        monkeypatch.setattr(watch_module, "progress", self._progress)
        monkeypatch.setattr(watch_module, "last_sequence", self._last_sequence)
        monkeypatch.setattr(watch_module, "pause", self._pause)
        monkeypatch.setattr(watch_module, "consumer_infos", self._no_consumers)

    async def _progress(self, _client: Client, consumer: DurableConsumer) -> Progress:
        left = self.left.get(consumer.generation, 0)
        return Progress(delivered=100, acknowledged=100 - left, left=left)

    async def _last_sequence(self, _client: Client, _stream: str) -> int:
        return 100

    async def _pause(self, _client: Client, consumer: DurableConsumer, seconds: float) -> None:
        self.paused.append((consumer.generation, seconds))

    async def _no_consumers(self, _client: Client, _stream: str) -> list[dict[str, Any]]:
        return []


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> FakeStream:
    return FakeStream(monkeypatch)


def _watch_while(views: FakeViews, steps: Coroutine[Any, Any, None]) -> None:
    """Runs a watch on a virtual clock while these steps are done."""

    async def run() -> None:
        watch = Watch(views, OpenStream(None), lambda _: Filling())
        running = asyncio.create_task(watch.run())
        await steps
        watch.stop()
        await running

    VirtualLoop().run(run())


async def _seconds_until_live(views: FakeViews, name: str) -> float:
    began = asyncio.get_running_loop().time()
    while views.generations.live != name:
        await pass_time(0.01)
    return asyncio.get_running_loop().time() - began


def test_a_first_generation_that_has_caught_up_is_swapped_in_at_once(stream: FakeStream) -> None:
    views = FakeViews()

    async def steps() -> None:
        assert await _seconds_until_live(views, "g1") < BUILDING_LOOK_SECONDS
        assert stream.paused == []  # there was no live generation to be paused

    _watch_while(views, steps())


def test_a_generation_is_swapped_in_at_the_first_look_after_it_has_caught_up(stream: FakeStream) -> None:
    views = FakeViews(Generations(live="a", building="b"))
    stream.left = {"b": 40}

    async def steps() -> None:
        await pass_time(5.0)
        assert views.generations.live == "a"
        stream.left = {}
        assert await _seconds_until_live(views, "b") <= BUILDING_LOOK_SECONDS + 0.01
        assert stream.paused == [("a", STANDSTILL_SECONDS)]

    _watch_while(views, steps())


def test_a_rebuild_is_noticed_at_the_next_look(stream: FakeStream) -> None:
    views = FakeViews(Generations(live="a"))

    async def steps() -> None:
        await pass_time(0.5)
        building = await views.begin()
        assert building is not None
        assert await _seconds_until_live(views, building) <= LOOK_SECONDS

    _watch_while(views, steps())


def test_with_a_live_view_the_looks_are_rare(stream: FakeStream) -> None:
    views = FakeViews(Generations(live="a"))

    async def steps() -> None:
        await pass_time(10 * LOOK_SECONDS - 0.1)
        assert views.looks == 10

    _watch_while(views, steps())


def test_an_outage_of_mongodb_is_no_error_of_the_watch(stream: FakeStream) -> None:
    views = FakeViews(Generations(live="a"))

    async def steps() -> None:
        views.away = ViewUnavailable("shutting down")
        await pass_time(10.0)
        views.away = None
        building = await views.begin()
        assert building is not None
        await _seconds_until_live(views, building)

    _watch_while(views, steps())


def test_a_subscriber_that_fails_ends_the_watch_with_its_error(stream: FakeStream) -> None:
    class Failing(Filling):
        async def run(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        VirtualLoop().run(Watch(FakeViews(), OpenStream(None), lambda _: Failing()).run())


def test_a_watch_that_waits_for_nats_stops_at_once() -> None:
    async def run() -> float:
        watch = Watch(FakeViews(), NoStream(), lambda _: Filling())
        running = asyncio.create_task(watch.run())
        await pass_time(0.1)
        watch.stop()
        await asyncio.wait({running})
        return asyncio.get_running_loop().time()

    assert VirtualLoop().run(run()) == 0.1
