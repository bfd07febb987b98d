"""How many orders a second go the whole way: placed, APPROVED, and shown so by the view."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.cpu import ALL, cpu_use
from bench.figures import Section
from bench.load import Progress, placing
from bench.rig import Rig

RAMP_SECONDS = 2.0
BOUND = 2_000
CONNECTIONS = 32
STILL_GROWING = 0.05

EACH_SECOND = "orders into the view, each second"
"""The series of a section: for each run, the rate in each second."""

CPU_OF = "CPU of "
"""Begins the figures of an order's cost, by component."""


@dataclass(frozen=True)
class Run:
    """One window of sustained load.

    Attributes:
        rate: orders that became visible as APPROVED, per second.
        posted: orders that were placed, per second.
        backlog: orders under way at the beginning and at the end of the window.
        cpu: milliseconds for one order that became visible, by component.
        share: CPU of all components, per cent of one core.
        series: visible orders in each second.
    """

    rate: float
    posted: float
    backlog: tuple[int, int]
    cpu: Mapping[str, float]
    share: float
    series: Sequence[float]


async def warm_up(rig: Rig, customers: Sequence[int], seconds: float, rounds: int) -> list[float]:
    """Rounds of load until the rate grows no more (the JVMs compile what runs often); returns each round's rate."""
    rates: list[float] = []
    while len(rates) < rounds and not is_stable(rates):
        rates.append((await sustained(rig, customers, seconds, CONNECTIONS)).rate)
    return rates


def is_stable(rates: Sequence[float]) -> bool:
    """Whether neither of the last two rounds was faster than all before them by more than `STILL_GROWING`."""
    if len(rates) < 3:  # noqa: PLR2004 - two, and one before them
        return False
    return max(rates[-2:]) < max(rates[:-2]) * (1 + STILL_GROWING)


async def sustained(rig: Rig, customers: Sequence[int], seconds: float, connections: int, bound: int = BOUND) -> Run:
    """Loads for `seconds` after a ramp, and waits until everything that it placed has arrived."""
    async with placing(rig, customers, connections, bound) as progress:
        await asyncio.sleep(min(RAMP_SECONDS, seconds))
        await progress.look(rig.shown)
        began = cpu_use(rig.stack)
        visible, placed, backlog = progress.visible, progress.placed, len(progress.under_way)
        series = await _each_second(progress, seconds)
        await progress.look(rig.shown)
        use = cpu_use(rig.stack).since(began)
        arrived, posted, left = progress.visible - visible, progress.placed - placed, len(progress.under_way)
    await rig.quiet()
    cpu = use.milliseconds_per(max(arrived, 1))
    return Run(arrived / use.at, posted / use.at, (backlog, left), cpu, use.shares()[ALL], series)


async def _each_second(progress: Progress, seconds: float) -> list[float]:
    """Visible orders per second, second by second."""
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
    """The table and the data of the pictures."""
    found = Section(title)
    found.add("APPROVED and in the view", "orders/s", *(run.rate for run in runs))
    found.add("placed", "orders/s", *(run.posted for run in runs))
    found.add("under way at the beginning", "orders", *(run.backlog[0] for run in runs))
    found.add("under way at the end", "orders", *(run.backlog[1] for run in runs))
    found.add("CPU in use by all components", "% of a core", *(run.share for run in runs))
    found.add_lines("ms/order", [run.cpu for run in runs], CPU_OF)
    found.series[EACH_SECOND] = [[round(rate, 1) for rate in run.series] for run in runs]
    return found
