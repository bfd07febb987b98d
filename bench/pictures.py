"""Pictures: the distribution of the latency, the throughput over time, and the CPU of an order by component."""

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from bench.cpu import ALL, GENERATOR, MACHINE
from bench.figures import Section, percentile
from bench.latency import LATENCIES
from bench.throughput import CPU_OF, RATE_PER_SECOND

PERCENTS = [*range(1, 100), 99.2, 99.4, 99.6, 99.8, 99.9]
TICKS = [0.0, 50.0, 90.0, 99.0, 99.9]
SIZE = (10, 5)
DPI = 120


def draw(sections: Sequence[Section]) -> Iterator[tuple[str, Picture]]:
    """Name and picture, for each picture that the sections have data for."""
    latencies = [section for section in sections if LATENCIES in section.series]
    throughputs = [section for section in sections if RATE_PER_SECOND in section.series]
    if latencies:
        yield "latency", _latency(latencies)
    if throughputs:
        yield "throughput", _throughput(throughputs)
        yield "cost", _cost(throughputs[0])


def _latency(sections: Sequence[Section]) -> Picture:
    """Percentiles on a logarithmic axis: from 90 % to 99 % is as wide as from 99 % to 99.9 %."""
    picture, axes = _empty("POST to APPROVED")
    for section in sections:
        values = section.series[LATENCIES]
        axes.plot(_one_in(PERCENTS), [percentile(values, percent) for percent in PERCENTS], label=section.title)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(_one_in(TICKS), labels=[f"{tick:g} %" for tick in TICKS])
    axes.set_xlabel("of the orders")
    axes.set_ylabel("ms at most")
    axes.legend()
    return picture


def _one_in(percents: Sequence[float]) -> list[float]:
    """Percentile 99 as 100: one order in 100 takes longer."""
    return [100 / (100 - percent) for percent in percents]


def _throughput(sections: Sequence[Section]) -> Picture:
    picture, axes = _empty("Orders APPROVED and in the view")
    for number, section in enumerate(sections):
        for run, rates in enumerate(section.series[RATE_PER_SECOND]):
            label = section.title if run == 0 else None
            axes.plot(range(1, len(rates) + 1), rates, color=f"C{number}", alpha=0.7, label=label)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("second")
    axes.set_ylabel("orders/s")
    axes.legend(loc="lower right")
    return picture


def _cost(section: Section) -> Picture:
    picture, axes = _empty("CPU of one order, at the highest rate")
    not_components = {ALL, MACHINE, GENERATOR}
    costs = {f.name.removeprefix(CPU_OF): f.median for f in section.figures if f.name.startswith(CPU_OF)}
    components = sorted((cost, name) for name, cost in costs.items() if name not in not_components)
    bars = axes.barh([name for _, name in components], [cost for cost, _ in components], color="tab:blue")
    axes.margins(x=0.1)
    axes.bar_label(bars, fmt="%.3f", padding=3)
    axes.set_xlabel(f"ms of CPU; {costs[ALL]:.2f} together")
    return picture


def _empty(title: str) -> tuple[Picture, Axes]:
    picture = Picture(figsize=SIZE, layout="constrained")
    axes = picture.subplots()
    axes.set_title(title)
    axes.grid(alpha=0.3)
    return picture, axes
