"""Which generations and durable consumers the watch drops, with a view and a stream in memory."""

import asyncio
from typing import Any

import pytest
from nats.aio.client import Client

from services.history import watch as watch_module
from services.history.generations import Generations
from services.history.watch import GRACE_SECONDS, Watch
from tests.simulation.clock import VirtualLoop, pass_time
from tests.unit.messaging.stream import OpenStream
from tests.unit.services.history.ports import FakeViews
from tests.unit.services.history.test_watch import Filling

CONSUMERS = ("order", "customer", "history_old", "history_live", "history_new")


class SwappedMeanwhile(FakeViews):
    """Another instance swaps a generation in while this one lists the collections."""

    async def stored(self) -> set[str]:
        self.generations = Generations(live="new", live_for=0.0)
        return await super().stored()


def _deleted(monkeypatch: pytest.MonkeyPatch, views: FakeViews) -> list[str]:
    """The durable consumers that are deleted in one look; the generations `old`, `live` and `new` are stored."""
    deleted: list[str] = []

    async def infos(_client: Client, _stream: str) -> list[dict[str, Any]]:
        return [{"name": name} for name in CONSUMERS]

    async def delete(_client: Client, _stream: str, name: str) -> None:
        deleted.append(name)

    async def run() -> None:
        watch = Watch(views, OpenStream(None), lambda _: Filling())
        running = asyncio.create_task(watch.run())
        await pass_time(0.1)
        watch.stop()
        await running

    monkeypatch.setattr(watch_module, "consumer_infos", infos)
    monkeypatch.setattr(watch_module, "delete_consumer", delete)
    for name in ("old", "live", "new"):
        views.generation(name)
    VirtualLoop().run(run())
    return deleted


def test_generations_that_do_not_count_are_dropped_and_no_consumer_of_another_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = FakeViews(Generations(live="live", live_for=GRACE_SECONDS + 1))
    assert _deleted(monkeypatch, views) == ["history_old", "history_new"]
    assert [name for name, generation in views.made.items() if generation.dropped] == ["old", "new"]


def test_nothing_is_dropped_if_another_generation_was_swapped_in_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    views = SwappedMeanwhile(Generations(live="live", live_for=GRACE_SECONDS + 1))
    assert _deleted(monkeypatch, views) == []
    assert not any(generation.dropped for generation in views.made.values())
