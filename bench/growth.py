"""Growth: the cost of an order and of a page of history with large tables, compared with small tables.

The speed of a shared machine changes within minutes. So the large stack is compared with a small one that runs beside
it, and both are measured in turns; so are the pages of a large and of a small customer.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from bench import bulk, latency, start, throughput
from bench.client import Pool, get
from bench.cpu import ALL
from bench.figures import Section, percentile
from bench.kafka_log import KafkaLog, open_kafka_log
from bench.rig import Rig, open_rig
from infra.native import Stack

SMALL_STACK = "bench-small"

PAGE = 100
SMALL_CUSTOMER_ORDERS = 2 * PAGE
"""Orders of the small customer: two full pages."""


@dataclass(frozen=True)
class Size:
    """How much is inserted, and how long is measured.

    Attributes:
        orders: inserted into the large stack.
        of_one_customer: how many of them belong to one customer.
        seconds: of each throughput run.
        one_at_a_time: orders of each latency run.
        pages: requests for each page of history.
        runs: of each figure.
        connections: of the load.
    """

    orders: int
    of_one_customer: int
    seconds: float
    one_at_a_time: int
    pages: int
    runs: int
    connections: int


@dataclass(frozen=True)
class Target:
    """A stack to measure, and the customers that its orders are placed for."""

    rig: Rig
    log: KafkaLog
    customers: Sequence[int]


FigureName = tuple[str, str]
"""Name and unit."""


async def measure(rig: Rig, log: KafkaLog, customers: Sequence[int], size: Size, warm_up: tuple[float, int]) -> Section:
    """Fills the stack, and measures it in turns with a small stack, which is deleted at the end."""
    large, small = await rig.create_customers(2)
    await bulk.insert_approved_orders(rig, [small], SMALL_CUSTOMER_ORDERS)
    await bulk.insert_approved_orders(rig, [large], size.of_one_customer)
    await bulk.insert_approved_orders(rig, customers, size.orders - size.of_one_customer)
    section = Section(f"Growth: {size.orders:,} orders, {size.of_one_customer:,} of them of one customer")
    async with _small_stack(len(customers), warm_up) as before:
        for suffix, small_target, large_target in (
            ("", before, Target(rig, log, customers)),
            (", all for one customer", replace(before, customers=before.customers[:1]), Target(rig, log, [large])),
        ):
            runs = [await _measure_in_turns(small_target, large_target, size) for _ in range(size.runs)]
            _add_comparison(section, suffix, runs)
    await _compare_pages(section, rig, small, large, size)
    section.notes.append(
        "The orders are inserted by SQL and bulk inserts into orders, reservations and view, without events. Order "
        "figures: `large` is this stack, `small` is a warmed-up stack beside it with few orders; both are measured in "
        f"turns. Page figures: `large` is the large customer, `small` is one with {SMALL_CUSTOMER_ORDERS} orders in "
        "the same stack; the requests alternate. The ratio is large : small."
    )
    return section


@asynccontextmanager
async def _small_stack(customers: int, warm_up: tuple[float, int]) -> AsyncIterator[Target]:
    """A new stack that holds only the orders of its warm-up."""
    stack = Stack.load(SMALL_STACK)
    try:
        await asyncio.to_thread(start.measure, stack, 1)
        async with open_rig(stack) as rig, open_kafka_log(rig.settings) as log:
            created = await rig.create_customers(customers)
            await throughput.warm_up(rig, created, *warm_up)
            yield Target(rig, log, created)
    finally:
        await asyncio.to_thread(stack.reset)


async def _measure_in_turns(small: Target, large: Target, size: Size) -> dict[FigureName, dict[str, float]]:
    before, after = await _order_figures(small, size), await _order_figures(large, size)
    return {figure: _comparison(before[figure], after[figure]) for figure in before}


def _comparison(small: float, large: float) -> dict[str, float]:
    return {"small": small, "large": large, "ratio": large / small}


async def _order_figures(target: Target, size: Size) -> dict[FigureName, float]:
    load = await throughput.measure(target.rig, target.customers, size.seconds, size.connections)
    single = await latency.measure(target.rig, target.log, target.customers, 0, size.one_at_a_time)
    return {
        ("APPROVED and in the view", "orders/s"): load.rate,
        ("CPU of an order", "ms/order"): load.cpu[ALL],
        ("POST to APPROVED, one at a time, p50", "ms"): percentile(single.latencies, 50),
    }


def _add_comparison(section: Section, suffix: str, runs: Sequence[Mapping[FigureName, Mapping[str, float]]]) -> None:
    for name, unit in runs[0]:
        section.add_columns(f"{name}{suffix}", unit, [run[name, unit] for run in runs])


async def _compare_pages(section: Section, rig: Rig, small: int, large: int, size: Size) -> None:
    """Compares the customer's page, the first page of its history, and the last one."""
    for name, path in (
        ("GET /customers/{id}", "/customers/{id}"),
        (f"GET /customers/{{id}}/orders?limit={PAGE}", f"/customers/{{id}}/orders?limit={PAGE}"),
        (f"the last page of {PAGE}", f"/customers/{{id}}/orders?limit={PAGE}&after={{after}}"),
    ):
        runs = []
        paths = [
            path.format(id=customer, after=await _start_of_last_page(rig, customer)) for customer in (small, large)
        ]
        for _ in range(size.runs):
            before, after = await _median_milliseconds(rig.history, paths, size.pages)
            runs.append(_comparison(before, after))
        section.add_columns(name, "ms p50", runs)


async def _start_of_last_page(rig: Rig, customer: int) -> int:
    """The order id that the customer's last page begins after."""
    oldest = rig.view_orders.find({"customerId": customer}).sort("_id", 1).skip(PAGE).limit(1)
    return int((await oldest.to_list(1))[0]["_id"])


async def _median_milliseconds(pool: Pool, paths: Sequence[str], repetitions: int) -> list[float]:
    """The median time of a GET of each path, one request at a time; the paths alternate."""
    requests = [get(path) for path in paths]
    times: list[list[float]] = [[] for _ in paths]
    for _ in range(repetitions):
        for request, of_path in zip(requests, times, strict=True):
            began = time.perf_counter()
            await pool.request_json(request)
            of_path.append((time.perf_counter() - began) * 1000)
    return [percentile(of_path, 50) for of_path in times]
