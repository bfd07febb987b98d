"""What an order and a page of history cost when the tables are large, against the same on the young stack."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench import bulk, latency, throughput
from bench.client import Pool, get
from bench.cpu import ALL
from bench.figures import Section, percentile
from bench.kafka_log import KafkaLog
from bench.rig import Rig

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


async def measure(rig: Rig, log: KafkaLog, customers: Sequence[int], size: Size) -> Section:
    """Fresh, then filled, in one run; the pages of a small and a large customer interleaved."""
    large, small = await rig.create_customers(2)
    await bulk.fill(rig, [small], YOUNG_ORDERS)
    fresh = await _figures(rig, log, customers, size)
    fresh_large = await _figures(rig, log, [large], size)
    await bulk.fill(rig, [large], size.of_one_customer)
    await bulk.fill(rig, customers, size.orders - size.of_one_customer)
    grown = await _figures(rig, log, customers, size)
    grown_large = await _figures(rig, log, [large], size)
    section = Section(f"Growth: {size.orders:,} orders, {size.of_one_customer:,} of them one customer's")
    _compare(section, "", fresh, grown)
    _compare(section, ", all for the large customer", fresh_large, grown_large)
    await _compare_pages(section, rig, small, large, size)
    section.notes.append(
        "Filled by SQL and bulk inserts straight into orders, reservations and view, without events. The ratio of an "
        "order's cost is grown to fresh, of a page's the large customer's to that of one with two pages, interleaved."
    )
    return section


async def _figures(rig: Rig, log: KafkaLog, customers: Sequence[int], size: Size) -> dict[tuple[str, str], list[float]]:
    """By name and unit, a value for each run."""
    runs = [await throughput.sustained(rig, customers, size.seconds, size.connections) for _ in range(size.runs)]
    waits = [await latency.measure(rig, log, customers, 0, size.one_at_a_time) for _ in range(size.runs)]
    return {
        ("APPROVED and in the view", "orders/s"): [run.rate for run in runs],
        ("CPU of an order", "ms/order"): [run.cpu[ALL] for run in runs],
        ("POST to APPROVED, one at a time, p50", "ms"): [percentile(run.samples, 50) for run in waits],
    }


def _compare(
    section: Section,
    suffix: str,
    fresh: dict[tuple[str, str], list[float]],
    grown: dict[tuple[str, str], list[float]],
) -> None:
    for (name, unit), before in fresh.items():
        after = grown[name, unit]
        ratios = [new / old for old, new in zip(before, after, strict=True)]
        runs = [
            dict(zip(("fresh", "grown", "ratio"), run, strict=True)) for run in zip(before, after, ratios, strict=True)
        ]
        section.add_line(f"{name}{suffix}", unit, runs)


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
