"""How long a client waits: from the moment at which its POST was due to APPROVED observed, and to the view.

Open loop: orders are due at a fixed rate whether the earlier ones are answered or not, and the time counts from when an
order was due, so a pause of the system is felt by every order that fell into it (no coordinated omission).
"""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import hops
from bench.client import OK, Pool, get, post, read
from bench.figures import Section, distribution
from bench.kafka_log import KafkaLog
from bench.load import TOTAL
from bench.rig import Rig

POLL_SECONDS = 0.002
APPROVED = "APPROVED"
WAIT = {"Prefer": "wait=30"}
GIVE_UP_SECONDS = 120.0

FOLLOWED_PER_SECOND = 10
"""So many orders a second are followed into the view, half of them by polling: looking costs CPU too."""

MOST_PAUSE_SECONDS = 0.02
"""Between two orders one at a time, at random: their phase must not lock to a poll interval on the way."""


SAMPLES = "POST to APPROVED, ms"
"""The series of all latencies at one rate."""


@dataclass(frozen=True, slots=True)
class Followed:
    """One order as its client saw it; moments in epoch seconds.

    Attributes:
        answered: when the POST was, None if it was asked to wait until APPROVED.
        visible: when the view showed it APPROVED, None if nobody looked.
    """

    order_id: int
    due: float
    answered: float | None
    approved: float
    visible: float | None


@dataclass(frozen=True, slots=True)
class Way:
    """How an order is followed."""

    polled: bool
    """Asked for again and again, instead of a POST with `Prefer: wait`."""
    into_view: bool


def way(number: int, rate: float) -> Way:
    """How order `number` of an open loop is followed; the sample is spread evenly over the run."""
    step = max(1, round(rate / FOLLOWED_PER_SECOND))
    sampled = number % step == 0
    return Way(polled=sampled and number // step % 2 == 1, into_view=sampled)


async def one_at_a_time(rig: Rig, customers: Sequence[int], orders: int) -> list[Followed]:
    """Each order when the one before it is in the view."""
    chance = random.Random(orders)
    followed = []
    for number in range(orders):
        await asyncio.sleep(chance.uniform(0, MOST_PAUSE_SECONDS))
        customer = customers[number % len(customers)]
        followed.append(await _follow(rig, customer, time.time(), Way(polled=number % 2 == 1, into_view=True)))
    return followed


async def open_loop(rig: Rig, customers: Sequence[int], rate: float, seconds: float) -> list[Followed]:
    """`rate` orders a second, come what may; each somewhere in its share of the time, at random."""
    chance = random.Random(rate)
    tasks = []
    began = time.time()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = began + (number + chance.random()) / rate
            await asyncio.sleep(max(0.0, due - time.time()))
            customer = customers[number % len(customers)]
            tasks.append(group.create_task(_follow(rig, customer, due, way(number, rate))))
    return [task.result() for task in tasks]


async def _follow(rig: Rig, customer: int, due: float, how: Way) -> Followed:
    async with asyncio.timeout(GIVE_UP_SECONDS):
        order = {"customerId": customer, "orderTotal": TOTAL}
        placed = await rig.order.ask(post("/orders", order, None if how.polled else WAIT))
        answered = time.time() if how.polled else None
        path = f"/orders/{placed['orderId']}"
        if placed.get("orderState") != APPROVED:
            await _until_approved(rig.order, get(path), "orderState")
        approved = time.time()
        visible = None
        if how.into_view:
            await _until_approved(rig.history, get(path), "state")
            visible = time.time()
        return Followed(placed["orderId"], due, answered, approved, visible)


async def _until_approved(pool: Pool, request: bytes, field: str) -> None:
    while True:
        status, body = await pool.send(request)
        if status == OK and read(request, status, body)[field] == APPROVED:
            return
        await asyncio.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class Run:
    """One run at one rate: percentiles by what was measured, the mean of each hop, and every latency; milliseconds."""

    percentiles: Mapping[str, Mapping[str, float]]
    hops: Mapping[str, float]
    samples: Sequence[float]


async def measure(rig: Rig, log: KafkaLog, customers: Sequence[int], rate: float, amount: float) -> Run:
    """`amount` seconds at `rate` orders a second; rate 0: so many orders one at a time."""
    begin = await hops.origin(rig, log, time.time())
    if rate:
        followed = await open_loop(rig, customers, rate, amount)
    else:
        followed = await one_at_a_time(rig, customers, int(amount))
    await rig.quiet()
    events = await hops.events_since(rig, log, begin)
    splits = [hops.split(events, one.order_id, one.due, one.approved) for one in followed if one.answered is None]
    return Run(_percentiles(followed), hops.means([s for s in splits if s]), samples(followed))


def samples(followed: Sequence[Followed]) -> list[float]:
    """POST due to APPROVED of all orders."""
    return [(one.approved - one.due) * 1000 for one in followed]


def _percentiles(followed: Sequence[Followed]) -> dict[str, dict[str, float]]:
    seen = [(one, one.visible) for one in followed if one.visible is not None]
    answers = [(one.answered - one.due) * 1000 for one in followed if one.answered is not None]
    return {
        "POST to its answer": distribution(answers),
        "POST to APPROVED, Prefer: wait": distribution(samples([one for one in followed if one.answered is None])),
        "POST to APPROVED, polling": distribution(samples([one for one in followed if one.answered is not None])),
        "POST to visible in the view": distribution([(visible - one.due) * 1000 for one, visible in seen]),
        "view behind the order service": distribution([(visible - one.approved) * 1000 for one, visible in seen]),
    }


def section(rate: float, runs: Sequence[Run]) -> Section:
    """The table and the data of the pictures for one rate."""
    found = Section(f"Latency at {rate:.0f} orders/s" if rate else "Latency, one order at a time")
    for name in runs[0].percentiles:
        found.add_line(name, "ms", [run.percentiles[name] for run in runs])
    found.add_lines("ms", [run.hops for run in runs], "mean of hop: ")
    found.notes.append(
        "From the moment at which the POST was due. Prefer: wait is sent with the POST. "
        f"Polling looks every {POLL_SECONDS * 1000:.0f} ms, at the order "
        "and at the view; the view is looked at from APPROVED on. Hops: orders followed by Prefer: wait."
    )
    found.series[SAMPLES] = [round(value, 2) for run in runs for value in run.samples]
    return found
