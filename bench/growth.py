"""What an order and a page of history cost when the tables are large, against the same when they are small.

A machine is not as fast in one minute as in the next. So the large stack is held against a young one that runs beside
it, in turns, and a large customer's pages against a small one's.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from bench import bulk, latency, start, throughput
from bench.client import Pool, get
from bench.cpu import ALL
from bench.figures import Section, percentile
from bench.kafka_log import KafkaLog, open_kafka_log
from bench.rig import Rig, open_rig
from infra.native import Stack

YOUNG_STACK = "bench-young"

PAGE = 100
YOUNG_ORDERS = 2 * PAGE
"""Orders of the customer whose pages a large customer's are held against: two full pages."""


@dataclass(frozen=True)
class Size:
    """How much is filled in, and how long each measurement takes."""

    orders: int
    of_one_customer: int
    seconds: float
    one_at_a_time: int
    pages: int
    runs: int
    connections: int


@dataclass(frozen=True)
class Side:
    """A stack, and the customers to place orders for."""

    rig: Rig
    log: KafkaLog
    customers: Sequence[int]


async def measure(rig: Rig, log: KafkaLog, customers: Sequence[int], size: Size, warm_up: tuple[float, int]) -> Section:
    """Fills the stack, and measures it in turns with a young one, which is deleted again."""
    large, small = await rig.create_customers(2)
    await bulk.fill(rig, [small], YOUNG_ORDERS)
    await bulk.fill(rig, [large], size.of_one_customer)
    await bulk.fill(rig, customers, size.orders - size.of_one_customer)
    section = Section(f"Growth: {size.orders:,} orders, {size.of_one_customer:,} of them one customer's")
    async with _young(len(customers), warm_up) as young:
        for suffix, before, after in (
            ("", young, Side(rig, log, customers)),
            (", all for one customer", replace(young, customers=young.customers[:1]), Side(rig, log, [large])),
        ):
            _compare(section, suffix, [await _in_turns(before, after, size) for _ in range(size.runs)])
    await _compare_pages(section, rig, small, large, size)
    section.notes.append(
        "Filled by SQL and bulk inserts straight into orders, reservations and view, without events. The ratio of an "
        "order's cost is that of the grown stack to that of a young one beside it, warmed up, measured in turns; the "
        "ratio of a page's cost is the large customer's to that of one with two pages, interleaved."
    )
    return section


@asynccontextmanager
async def _young(customers: int, warm_up: tuple[float, int]) -> AsyncIterator[Side]:
    """A stack with nothing but what it took to warm it up."""
    stack = Stack.load(YOUNG_STACK)
    try:
        await asyncio.to_thread(start.measure, stack, 1)
        async with open_rig(stack) as rig, open_kafka_log(rig.settings) as log:
            many = await rig.create_customers(customers)
            await throughput.warm_up(rig, many, *warm_up)
            yield Side(rig, log, many)
    finally:
        await asyncio.to_thread(stack.reset)


async def _in_turns(young: Side, grown: Side, size: Size) -> dict[tuple[str, str], dict[str, float]]:
    """By name and unit: fresh, grown, and their ratio."""
    before, after = await _figures(young, size), await _figures(grown, size)
    return {name: {"fresh": old, "grown": after[name], "ratio": after[name] / old} for name, old in before.items()}


async def _figures(side: Side, size: Size) -> dict[tuple[str, str], float]:
    """By name and unit."""
    run = await throughput.sustained(side.rig, side.customers, size.seconds, size.connections)
    waits = await latency.measure(side.rig, side.log, side.customers, 0, size.one_at_a_time)
    return {
        ("APPROVED and in the view", "orders/s"): run.rate,
        ("CPU of an order", "ms/order"): run.cpu[ALL],
        ("POST to APPROVED, one at a time, p50", "ms"): percentile(waits.samples, 50),
    }


def _compare(section: Section, suffix: str, runs: Sequence[dict[tuple[str, str], dict[str, float]]]) -> None:
    for name, unit in runs[0]:
        section.add_line(f"{name}{suffix}", unit, [run[name, unit] for run in runs])


async def _compare_pages(section: Section, rig: Rig, small: int, large: int, size: Size) -> None:
    """A customer's page, the first page of the history, and one from its middle or end."""
    for name, path in (
        ("GET /customers/{id}", "/customers/{id}"),
        (f"GET /customers/{{id}}/orders?limit={PAGE}", f"/customers/{{id}}/orders?limit={PAGE}"),
        (f"the last page of {PAGE}", "/customers/{id}/orders?limit=100&after={after}"),
    ):
        runs = []
        paths = [path.format(id=customer, after=await _before_last_page(rig, customer)) for customer in (small, large)]
        for _ in range(size.runs):
            before, after = await _interleaved(rig.history, paths, size.pages)
            runs.append({"fresh": before, "grown": after, "ratio": after / before})
        section.add_line(name, "ms p50", runs)


async def _before_last_page(rig: Rig, customer: int) -> int:
    """The id that the customer's last page follows."""
    oldest = rig.shown.find({"customerId": customer}).sort("_id", 1).skip(PAGE).limit(1)
    return int((await oldest.to_list(1))[0]["_id"])


async def _interleaved(pool: Pool, paths: Sequence[str], pages: int) -> list[float]:
    """The median milliseconds of each path, one request at a time, in turns."""
    requests = [get(path) for path in paths]
    times: list[list[float]] = [[] for _ in paths]
    for _ in range(pages):
        for request, taken in zip(requests, times, strict=True):
            began = time.perf_counter()
            await pool.ask(request)
            taken.append((time.perf_counter() - began) * 1000)
    return [percentile(taken, 50) for taken in times]
