"""Latency: from the moment at which a POST was due until the client sees APPROVED, and until the view shows it.

Open loop: orders are due at a fixed rate, whether earlier ones are answered or not. The latency counts from the moment
at which the order was due, so a pause of the system delays every order that was due in it (no coordinated omission).
"""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import hops
from bench.client import OK, Pool, get, parse_response, post
from bench.figures import Section, distribution
from bench.kafka_log import KafkaLog
from bench.load import ORDER_TOTAL
from bench.rig import Rig

POLL_SECONDS = 0.002
APPROVED = "APPROVED"
PREFER_WAIT = {"Prefer": "wait=30"}
TIMEOUT_SECONDS = 120.0

SAMPLES_PER_SECOND = 10
"""Orders per second that are sampled in the view, half of them by polling. Polling every order would cost CPU."""

MAX_PAUSE_SECONDS = 0.02
"""Between two orders one at a time: a random pause, so that the orders do not synchronize with a poll interval."""

LATENCIES = "POST to APPROVED, ms"
"""The series with the latencies of all orders at one rate."""


@dataclass(frozen=True, slots=True)
class ObservedOrder:
    """One order as its client saw it; moments in epoch seconds.

    Attributes:
        due: when the POST was due.
        answered: when the POST was answered; None if it had `Prefer: wait`.
        approved: when the client saw the order APPROVED.
        visible: when the view showed it APPROVED; None if the view was not polled.
    """

    order_id: int
    due: float
    answered: float | None
    approved: float
    visible: float | None


@dataclass(frozen=True, slots=True)
class Observation:
    """How the client observes an order.

    Attributes:
        by_polling: the client polls the order, instead of a POST with `Prefer: wait`.
        in_view: the client then polls the view.
    """

    by_polling: bool
    in_view: bool


def observation_of(number: int, rate: float) -> Observation:
    """How the client observes order `number` of an open loop. The samples are spread evenly over the run."""
    step = max(1, round(rate / SAMPLES_PER_SECOND))
    is_sample = number % step == 0
    return Observation(by_polling=is_sample and number // step % 2 == 1, in_view=is_sample)


async def one_at_a_time(rig: Rig, customers: Sequence[int], orders: int) -> list[ObservedOrder]:
    """Places each order when the view shows the one before it."""
    rng = random.Random(orders)
    observed = []
    for number in range(orders):
        await asyncio.sleep(rng.uniform(0, MAX_PAUSE_SECONDS))
        customer = customers[number % len(customers)]
        how = Observation(by_polling=number % 2 == 1, in_view=True)
        observed.append(await _observe(rig, customer, time.time(), how))
    return observed


async def open_loop(rig: Rig, customers: Sequence[int], rate: float, seconds: float) -> list[ObservedOrder]:
    """Places `rate` orders per second, whether earlier ones are answered or not.

    Each order has a slot of 1/`rate` seconds, and is due at a random moment of its slot.
    """
    rng = random.Random(rate)
    tasks = []
    began = time.time()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = began + (number + rng.random()) / rate
            await asyncio.sleep(max(0.0, due - time.time()))
            customer = customers[number % len(customers)]
            tasks.append(group.create_task(_observe(rig, customer, due, observation_of(number, rate))))
    return [task.result() for task in tasks]


async def _observe(rig: Rig, customer: int, due: float, how: Observation) -> ObservedOrder:
    """Places one order and observes it.

    Raises:
        TimeoutError: it is not APPROVED, or not in the view, after `TIMEOUT_SECONDS`.
    """
    async with asyncio.timeout(TIMEOUT_SECONDS):
        order = {"customerId": customer, "orderTotal": ORDER_TOTAL}
        placed = await rig.order.request_json(post("/orders", order, None if how.by_polling else PREFER_WAIT))
        answered = time.time() if how.by_polling else None
        path = f"/orders/{placed['orderId']}"
        if placed.get("orderState") != APPROVED:
            await _poll_until_approved(rig.order, get(path), "orderState")
        approved = time.time()
        visible = None
        if how.in_view:
            await _poll_until_approved(rig.history, get(path), "state")
            visible = time.time()
        return ObservedOrder(placed["orderId"], due, answered, approved, visible)


async def _poll_until_approved(pool: Pool, request: bytes, field: str) -> None:
    while True:
        status, body = await pool.send(request)
        if status == OK and parse_response(request, status, body)[field] == APPROVED:
            return
        await asyncio.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class Run:
    """One run at one rate; milliseconds.

    Attributes:
        percentiles: by what was measured.
        hops: the mean of each hop.
        latencies: of all orders.
    """

    percentiles: Mapping[str, Mapping[str, float]]
    hops: Mapping[str, float]
    latencies: Sequence[float]


async def measure(rig: Rig, log: KafkaLog, customers: Sequence[int], rate: float, amount: float) -> Run:
    """Measures one rate.

    Args:
        rate: orders per second; 0: one at a time.
        amount: seconds; with rate 0: orders.
    """
    begin = await hops.start_position(rig, log, time.time())
    if rate:
        observed = await open_loop(rig, customers, rate, amount)
    else:
        observed = await one_at_a_time(rig, customers, int(amount))
    await rig.wait_until_drained()
    events = await hops.event_times_since(rig, log, begin)
    waited = [order for order in observed if order.answered is None]
    times = [hops.hop_times(events, order.order_id, order.due, order.approved) for order in waited]
    return Run(_percentiles(observed), hops.mean_hop_times([t for t in times if t]), latencies(observed))


def latencies(observed: Sequence[ObservedOrder]) -> list[float]:
    """From POST due to APPROVED, in milliseconds, of each order."""
    return [(order.approved - order.due) * 1000 for order in observed]


def _percentiles(observed: Sequence[ObservedOrder]) -> dict[str, dict[str, float]]:
    waited = [order for order in observed if order.answered is None]
    polled = [order for order in observed if order.answered is not None]
    answers = [(order.answered - order.due) * 1000 for order in observed if order.answered is not None]
    in_view = [(order, order.visible) for order in observed if order.visible is not None]
    return {
        "POST to its answer": distribution(answers),
        "POST to APPROVED, Prefer: wait": distribution(latencies(waited)),
        "POST to APPROVED, polling": distribution(latencies(polled)),
        "POST to visible in the view": distribution([(visible - order.due) * 1000 for order, visible in in_view]),
        "view behind the order service": distribution([(visible - o.approved) * 1000 for o, visible in in_view]),
    }


def section(rate: float, runs: Sequence[Run]) -> Section:
    """The table of one rate, with the data of its picture."""
    found = Section(f"Latency at {rate:.0f} orders/s" if rate else "Latency, one order at a time")
    for name in runs[0].percentiles:
        found.add_columns(name, "ms", [run.percentiles[name] for run in runs])
    found.add_rows("ms", [run.hops for run in runs], "mean of hop: ")
    found.notes.append(
        "The time begins when the POST is due. Prefer: wait is a header of the POST. Polling: a GET every "
        f"{POLL_SECONDS * 1000:.0f} ms. The view is polled after the order is APPROVED. The hops are those of the "
        "orders with Prefer: wait."
    )
    found.series[LATENCIES] = [round(value, 2) for run in runs for value in run.latencies]
    return found
