"""Begins a new generation of the view, and waits until it is live."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

from nats.js.errors import NotFoundError

from infra.provision.settings import SERVICES, Settings
from messaging.progress import progress
from messaging.streams import EVENTS, request
from operations.errors import CannotRebuild
from operations.republish import republish
from operations.sources import Sources, stream_messages
from services.history.subscriptions import consumer_of

LOOK_SECONDS = 0.5

NOW = "SELECT clock_timestamp()"
WRITTEN_SINCE = "SELECT id::text FROM outbox WHERE created_at >= $1"


async def rebuild_view(sources: Sources, settings: Settings) -> AsyncIterator[str]:
    """Begins a new generation and waits until it is live; yields its progress in lines.

    The history service does the work: an interruption ends only the wait.

    Raises:
        CannotRebuild: a generation is being built already, there is no stream, or MongoDB was wiped meanwhile.
    """
    await _require_none_being_built(sources)
    state = await _stream_state(sources)
    if state["first_seq"] > 1:
        yield "the retention has deleted the beginning of the stream: the present states are republished first"
        async for line in _republish_all(sources, settings, state["last_seq"]):
            yield line
    name = await sources.views.begin()
    if name is None:
        await _require_none_being_built(sources)
        raise CannotRebuild("another rebuild began at the same time, and its generation is live already")
    yield f"generation {name} of the view is being built"
    async for line in _until_live(sources, name):
        yield line


async def _require_none_being_built(sources: Sources) -> None:
    building = (await sources.views.look()).building
    if building:
        raise CannotRebuild(f"generation {building} of the view is being built already; wait until it is live")


async def _stream_state(sources: Sources) -> dict[str, int]:
    try:
        state: dict[str, int] = (await request(sources.nats, f"STREAM.INFO.{EVENTS}"))["state"]
    except NotFoundError:
        raise CannotRebuild(
            f"there is no stream {EVENTS} to build the view from; the bridge creates it: see `make status`"
        ) from None
    return state


async def _republish_all(sources: Sources, settings: Settings, last_sequence: int) -> AsyncIterator[str]:
    """Republishes all states, and waits until their events are in the stream."""
    missing: set[str] = set()
    for service, pool in zip(SERVICES, (sources.customers, sources.orders), strict=True):
        began: datetime = await pool.fetchval(NOW)
        number = await republish(service, settings.database_url(service))
        missing |= {row["id"] for row in await pool.fetch(WRITTEN_SINCE, began)}
        yield f"{service}: {number} states republished"
    while missing:
        async for message in stream_messages(sources.nats, last_sequence + 1):
            missing.discard(message.event_id)
            last_sequence = message.sequence
        yield f"{len(missing)} of their events are not in the stream yet"
        await asyncio.sleep(LOOK_SECONDS)


async def _until_live(sources: Sources, name: str) -> AsyncIterator[str]:
    while True:
        generations = await sources.views.look()
        if generations.live == name:
            yield f"generation {name} has caught up and is live now"
            return
        if generations.building != name:
            raise CannotRebuild(
                f"generation {name} is gone: MongoDB was wiped meanwhile; the history service rebuilds the view"
            )
        yield await _progress_line(sources, name)
        await asyncio.sleep(LOOK_SECONDS)


async def _progress_line(sources: Sources, name: str) -> str:
    try:
        return f"{(await progress(sources.nats, consumer_of(name))).left} events left"
    except NotFoundError:
        return "waiting for the history service to begin: `make status` shows whether it runs"
