"""Each component in isolation: a backlog is built before it while it is stopped; then it works through the backlog."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from bench import bulk
from bench.figures import Section
from bench.kafka_log import KafkaLog
from bench.rig import Rig, wait_until
from messaging.progress import progress
from messaging.streams import EVENTS, consumer_infos
from services.history.subscriptions import consumer_of

CONSUMERS = ("customer", "order", "history")
TIMEOUT_SECONDS = 600.0
POLL_SECONDS = 0.01

Counter = Callable[[], Awaitable[int]]
"""Reads a count that grows."""

Sample = tuple[float, int]
"""A moment, in seconds of the loop's clock, and the count at that moment."""


async def completion_rate(count: Counter, target: int) -> float:
    """Events per second from the first event done to the last. The start of the process does not count.

    Args:
        count: reads how many events are done.
        target: the count when all events are done.

    Raises:
        TimeoutError: they are not done after `TIMEOUT_SECONDS`.
    """
    loop = asyncio.get_running_loop()
    samples: list[Sample] = [(loop.time(), await count())]

    async def is_done() -> bool:
        sample = loop.time(), await count()
        if sample[1] == samples[0][1]:
            samples[0] = sample  # nothing is done yet: the time has not begun
        else:
            samples.append(sample)
        return sample[1] >= target

    await wait_until(is_done, TIMEOUT_SECONDS, POLL_SECONDS)
    return rate_of(samples)


def rate_of(samples: Sequence[Sample]) -> float:
    """Events per second.

    Args:
        samples: the last one with nothing done, the first one with something done, and all later ones. With three or
            more, the time begins at the second: what was done before it includes the start of the process.
    """
    begin = samples[1] if len(samples) > 2 else samples[0]  # noqa: PLR2004 - the docstring says why three
    end = samples[-1]
    return (end[1] - begin[1]) / (end[0] - begin[0])


async def measure(rig: Rig, log: KafkaLog, customers: Sequence[int], events: int, runs: int) -> Section:
    """Measures one component after the other; each gets the output of the one before it."""
    rates = []
    for _ in range(runs):
        await rig.wait_until_drained()
        rates.append(await _component_rates(rig, log, customers, events))
    section = Section("Each component in isolation")
    section.add_rows("events/s", rates)
    section.notes.append(
        f"A backlog of {events:,} orders, placed by SQL with their events, is built before each component in turn. The "
        "other services and the bridge are stopped; the engines run, so Debezium captures at once what a consumer "
        "writes. The time runs from the first event done to the last, without the start of the process; for the "
        "capture it runs from the first INSERT. The rebuild fills a new generation of the view from the whole stream, "
        "beside the live one."
    )
    return section


async def _component_rates(rig: Rig, log: KafkaLog, customers: Sequence[int], events: int) -> dict[str, float]:
    rates = {}
    records, stored = await log.record_count(), await rig.stream_end()
    async with stopped(rig, *CONSUMERS, "bridge"):
        began = asyncio.get_running_loop().time()
        await bulk.insert_pending_orders(rig, customers, events)
        await _wait_for_records(log, records + events)
        rates["capture (WAL to Kafka)"] = events / (asyncio.get_running_loop().time() - began)
        async with _running(rig, "bridge"):
            rates["bridge (Kafka to JetStream)"] = await completion_rate(rig.stream_end, stored + events)
        for number, service in enumerate(("customer", "order"), 2):
            async with _running(rig, service):
                rates[f"{service} service"] = await completion_rate(_negative_backlog(rig, service), 0)
                await _wait_for_records(log, records + number * events)
            async with _running(rig, "bridge"):
                await completion_rate(rig.stream_end, stored + number * events)
        async with _running(rig, "history"):
            rates["projection (history service)"] = await completion_rate(_negative_backlog(rig, "history"), 0)
    await rig.wait_until_drained()
    rates["rebuild of the view"] = await _rebuild_rate(rig)
    return rates


async def _rebuild_rate(rig: Rig) -> float:
    """Builds a new generation of the view, and waits until it is the live one."""
    name = await rig.views.begin()
    assert name is not None, "no other rebuild is running"

    async def consumer_exists() -> bool:
        return consumer_of(name).durable_name in {info["name"] for info in await consumer_infos(rig.nats, EVENTS)}

    async def is_live() -> bool:
        return (await rig.views.look()).live == name

    async def negative_backlog() -> int:
        return -(await progress(rig.nats, consumer_of(name))).left

    await wait_until(consumer_exists, TIMEOUT_SECONDS, POLL_SECONDS)
    rate = await completion_rate(negative_backlog, 0)
    await wait_until(is_live, TIMEOUT_SECONDS, POLL_SECONDS)
    await rig.refresh_generation()
    return rate


def _negative_backlog(rig: Rig, service: str) -> Counter:
    """The backlog of a service's consumer, below zero: a count that grows to 0."""

    async def count() -> int:
        return -(await rig.backlog())[service]

    return count


async def _wait_for_records(log: KafkaLog, records: int) -> None:
    async def are_appended() -> bool:
        return await log.record_count() >= records

    await wait_until(are_appended, TIMEOUT_SECONDS, POLL_SECONDS)


@asynccontextmanager
async def stopped(rig: Rig, *components: str) -> AsyncIterator[None]:
    """Stops components while the block runs; at the end starts them and waits until they are ready."""
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
    """Starts a stopped component while the block runs. Does not wait until it is ready: its backlog is measured."""
    await asyncio.to_thread(rig.stack.start, component)
    try:
        yield
    finally:
        await asyncio.to_thread(rig.stack.stop, component)
