"""Having the view built anew beside the live one, and waiting until it has taken its place."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

from nats.js.errors import NotFoundError

from infra.provision.settings import SERVICES, Settings
from messaging.progress import progress
from messaging.streams import EVENTS, request
from operations.republish import republish
from operations.sources import Sources, stream_messages
from services.history.subscriptions import consumer_of

LOOK_SECONDS = 0.5

NOW = "SELECT clock_timestamp()"
WRITTEN_SINCE = "SELECT id::text FROM outbox WHERE created_at >= $1"


class CannotRebuild(Exception):
    """The view is not rebuilt; says why, and what to do."""


async def rebuild_view(sources: Sources, settings: Settings) -> AsyncIterator[str]:
    """Begins a new generation and waits until it is live; tells line by line how far it is.

    The history service does the work: interrupting this ends the waiting only.

    Raises:
        CannotRebuild: one is being built already, there is no stream, or MongoDB was wiped meanwhile.
    """
    await _require_none_being_built(sources)
    state = await _stream_state(sources)
    if state["first_seq"] > 1:
        yield "the stream has lost its beginning to its retention: the present states are sent again first"
        async for line in _send_states_again(sources, settings, state["last_seq"]):
            yield line
    name = await sources.views.begin()
    if name is None:
        await _require_none_being_built(sources)
        raise CannotRebuild("another one was begun at the same time and is live already")
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
            f"there is no stream {EVENTS} to build it from; the bridge makes it (make status)"
        ) from None
    return state


async def _send_states_again(sources: Sources, settings: Settings, last_sequence: int) -> AsyncIterator[str]:
    """Until the rows have taken the whole road: outbox, Debezium, Kafka, bridge, stream."""
    missing: set[str] = set()
    for service, pool in zip(SERVICES, (sources.customers, sources.orders), strict=True):
        began: datetime = await pool.fetchval(NOW)
        number = await republish(service, settings.database_url(service))
        missing |= {row["id"] for row in await pool.fetch(WRITTEN_SINCE, began)}
        yield f"{service}: {number} states sent again"
    while missing:
        async for message in stream_messages(sources.nats, last_sequence + 1):
            missing.discard(message.event_id)
            last_sequence = message.sequence
        yield f"{len(missing)} of them are on their way to the stream"
        await asyncio.sleep(LOOK_SECONDS)


async def _until_live(sources: Sources, name: str) -> AsyncIterator[str]:
    while True:
        generations = await sources.views.look()
        if generations.live == name:
            yield "it has caught up and is live now"
            return
        if generations.building != name:
            raise CannotRebuild(f"generation {name} is gone: MongoDB was wiped meanwhile, and the view is built anew")
        yield await _what_is_left(sources, name)
        await asyncio.sleep(LOOK_SECONDS)


async def _what_is_left(sources: Sources, name: str) -> str:
    try:
        return f"{(await progress(sources.nats, consumer_of(name))).left} events left"
    except NotFoundError:
        return "waiting for the history service to begin"
