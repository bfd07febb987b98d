"""Each part of the path alone: what piles up before it while it is stopped, and how fast it works that off."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from bench import bulk
from bench.figures import Section
from bench.kafka_log import KafkaLog
from bench.rig import Rig, until
from messaging.progress import progress
from messaging.streams import EVENTS, consumer_infos
from services.history.subscriptions import consumer_of

CONSUMERS = ("customer", "order", "history")
WITHIN_SECONDS = 600.0
LOOK_SECONDS = 0.01

Count = Callable[[], Awaitable[int]]


async def rate(count: Count, target: int) -> float:
    """Events per second, from the first that is seen done to the last: starting up does not count.

    Args:
        count: how many are done, growing.
        target: the count when all are done.

    Raises:
        TimeoutError: they are not done after `WITHIN_SECONDS`.
    """
    loop = asyncio.get_running_loop()
    looks = [(loop.time(), await count())]

    async def is_done() -> bool:
        now, done = loop.time(), await count()
        if done == looks[0][1]:
            looks[0] = (now, done)  # nothing yet: the clock has not begun
        else:
            looks.append((now, done))
        return done >= target

    await until(is_done, WITHIN_SECONDS, LOOK_SECONDS)
    return speed(looks)


def speed(looks: Sequence[tuple[float, int]]) -> float:
    """Per second, from moments and counts: the last one at which nothing was done yet, the first with something, ...

    What was done before the first look that saw something is not counted, if there is anything after it.
    """
    begin = looks[1] if len(looks) > 2 else looks[0]  # noqa: PLR2004 - before, first, and one more
    end = looks[-1]
    return (end[1] - begin[1]) / (end[0] - begin[0])


async def measure(rig: Rig, log: KafkaLog, customers: Sequence[int], events: int, runs: int) -> Section:
    """One part after the other, each over what the one before it has left."""
    found: dict[str, list[float]] = {}
    for _ in range(runs):
        await rig.quiet()
        for name, value in (await _chain(rig, log, customers, events)).items():
            found.setdefault(name, []).append(value)
    section = Section("Each part alone")
    for name, rates in found.items():
        section.add(name, "events/s", *rates)
    section.notes.append(
        f"{events:,} orders, placed by SQL with their events, pile up before each part in turn. The other services and "
        "the bridge are stopped meanwhile; the engines run, so Debezium captures at once what a consumer writes. "
        "Counted from the first event done to the last, so without the start of the process; capture is counted from "
        "the first INSERT. The rebuild fills another generation of the view from the whole stream, beside the live one."
    )
    return section


async def _chain(rig: Rig, log: KafkaLog, customers: Sequence[int], events: int) -> dict[str, float]:
    found = {}
    taken, stored = await log.length(), await rig.stream_end()
    async with stopped(rig, *CONSUMERS, "bridge"):
        began = asyncio.get_running_loop().time()
        await bulk.place(rig, customers, events)
        await _until_kafka_has(log, taken + events)
        found["capture (WAL to Kafka)"] = events / (asyncio.get_running_loop().time() - began)
        async with _running(rig, "bridge"):
            found["bridge (Kafka to JetStream)"] = await rate(rig.stream_end, stored + events)
        for number, service in enumerate(("customer", "order"), 2):
            async with _running(rig, service):
                found[f"{service} service"] = await rate(_acknowledged(rig, service), 0)
                await _until_kafka_has(log, taken + number * events)
            async with _running(rig, "bridge"):
                await rate(rig.stream_end, stored + number * events)
        async with _running(rig, "history"):
            found["projection (history service)"] = await rate(_acknowledged(rig, "history"), 0)
    await rig.quiet()
    found["rebuild of the view"] = await _rebuild(rig)
    return found


async def _rebuild(rig: Rig) -> float:
    """Another generation of the view, beside the live one, until it takes its place."""
    name = await rig.views.begin()
    assert name is not None, "nobody else rebuilds it"

    async def is_being_filled() -> bool:
        return consumer_of(name).durable_name in {info["name"] for info in await consumer_infos(rig.nats, EVENTS)}

    async def is_live() -> bool:
        return (await rig.views.look()).live == name

    async def done() -> int:
        return -(await progress(rig.nats, consumer_of(name))).left

    await until(is_being_filled, WITHIN_SECONDS, LOOK_SECONDS)
    found = await rate(done, 0)
    await until(is_live, WITHIN_SECONDS, LOOK_SECONDS)
    await rig.look()
    return found


def _acknowledged(rig: Rig, consumer: str) -> Count:
    """Counts up to 0: what is left to do, below zero."""

    async def count() -> int:
        return -(await rig.backlog())[consumer]

    return count


async def _until_kafka_has(log: KafkaLog, records: int) -> None:
    async def has() -> bool:
        return await log.length() >= records

    await until(has, WITHIN_SECONDS, LOOK_SECONDS)


@asynccontextmanager
async def stopped(rig: Rig, *components: str) -> AsyncIterator[None]:
    """Without these for a while; all of them are up again afterwards."""
    for component in components:
        await asyncio.to_thread(rig.stack.stop, component)
    try:
        yield
    finally:
        for component in components:
            await asyncio.to_thread(rig.stack.start, component)
        await asyncio.to_thread(rig.stack.wait_ready, *components)


@asynccontextmanager
async def _running(rig: Rig, component: str) -> AsyncIterator[None]:
    """Only for a while; what piled up before is worked off from its start on."""
    await asyncio.to_thread(rig.stack.start, component)
    try:
        yield
    finally:
        await asyncio.to_thread(rig.stack.stop, component)
