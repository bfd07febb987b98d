"""Throughput: how many orders per second are placed, become APPROVED, and appear in the view as APPROVED."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.cpu import ALL, cpu_use
from bench.figures import Section
from bench.load import Progress, placing_orders
from bench.rig import Rig, wait_until

RAMP_SECONDS = 2.0
FIRST_VISIBLE_WITHIN_SECONDS = 60.0
MAX_IN_FLIGHT = 2_000
CONNECTIONS = 32
STABLE_WITHIN = 0.05

RATE_PER_SECOND = "orders into the view, each second"
"""The series with the rate in each second, one list for each run."""

CPU_OF = "CPU of "
"""The prefix of the figures with an order's CPU by component."""


@dataclass(frozen=True)
class Run:
    """One window of sustained load.

    Attributes:
        rate: orders per second that became visible as APPROVED.
        placed: orders per second that were placed.
        in_flight: orders in flight at the beginning and at the end of the window.
        cpu: milliseconds for one visible order, by component.
        cpu_percent: CPU of all components, per cent of one core.
        series: visible orders in each second.
    """

    rate: float
    placed: float
    in_flight: tuple[int, int]
    cpu: Mapping[str, float]
    cpu_percent: float
    series: Sequence[float]


async def warm_up(rig: Rig, customers: Sequence[int], seconds: float, rounds: int) -> list[float]:
    """Repeats rounds of load until the rate is stable: the JVMs compile code that runs often.

    Args:
        seconds: of one round.
        rounds: at most.

    Returns:
        The rate of each round, orders per second.
    """
    rates: list[float] = []
    while len(rates) < rounds and not is_stable(rates):
        rates.append((await measure(rig, customers, seconds, CONNECTIONS)).rate)
    return rates


def is_stable(rates: Sequence[float]) -> bool:
    """Whether neither of the last two rounds is more than `STABLE_WITHIN` faster than every round before them."""
    if len(rates) < 3:  # noqa: PLR2004 - two, and one before them
        return False
    return max(rates[-2:]) < max(rates[:-2]) * (1 + STABLE_WITHIN)


async def measure(
    rig: Rig, customers: Sequence[int], seconds: float, connections: int, max_in_flight: int = MAX_IN_FLIGHT
) -> Run:
    """Measures a window of `seconds` after a ramp, then waits until all placed orders are in the view.

    The ramp takes `RAMP_SECONDS`, or longer: until the first order is visible.
    """
    async with placing_orders(rig, customers, connections, max_in_flight) as progress:
        await _ramp(progress)
        await progress.poll_view(rig.view_orders)
        began = cpu_use(rig.stack)
        visible, placed, in_flight = progress.visible, progress.placed, len(progress.in_flight)
        series = await _rate_each_second(progress, seconds)
        await progress.poll_view(rig.view_orders)
        use = cpu_use(rig.stack).since(began)
        visible, placed = progress.visible - visible, progress.placed - placed
        still_in_flight = len(progress.in_flight)
    await rig.wait_until_drained()
    return Run(
        rate=visible / use.elapsed,
        placed=placed / use.elapsed,
        in_flight=(in_flight, still_in_flight),
        cpu=use.milliseconds_per_item(max(visible, 1)),
        cpu_percent=use.percentages()[ALL],
        series=series,
    )


async def _ramp(progress: Progress) -> None:
    async def one_is_visible() -> bool:
        return progress.visible > 0

    await asyncio.sleep(RAMP_SECONDS)
    await wait_until(one_is_visible, FIRST_VISIBLE_WITHIN_SECONDS)


async def _rate_each_second(progress: Progress, seconds: float) -> list[float]:
    """Visible orders per second, for each second of the window."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    series: list[float] = []
    before, at = progress.visible, began
    while at - began < seconds:
        await asyncio.sleep(min(1.0, began + seconds - at))
        now = loop.time()
        series.append((progress.visible - before) / max(now - at, 1e-9))
        before, at = progress.visible, now
    return series


def section(title: str, runs: Sequence[Run]) -> Section:
    """The table, with the data of the pictures."""
    found = Section(title)
    found.add("APPROVED and in the view", "orders/s", *(run.rate for run in runs))
    found.add("placed", "orders/s", *(run.placed for run in runs))
    found.add("in flight at the beginning", "orders", *(run.in_flight[0] for run in runs))
    found.add("in flight at the end", "orders", *(run.in_flight[1] for run in runs))
    found.add("CPU used by all components", "% of a core", *(run.cpu_percent for run in runs))
    found.add_rows("ms/order", [run.cpu for run in runs], CPU_OF)
    found.series[RATE_PER_SECOND] = [[round(rate, 1) for rate in run.series] for run in runs]
    return found
