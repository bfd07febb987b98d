"""The figures as pictures: distribution of the latency, throughput over time, cost by component."""

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from bench.cpu import ALL, GENERATOR, MACHINE
from bench.figures import Section, percentile
from bench.latency import SAMPLES
from bench.throughput import CPU_OF, EACH_SECOND

SHARES = [*range(1, 100), 99.2, 99.4, 99.6, 99.8, 99.9]
TICKS = [0.0, 50.0, 90.0, 99.0, 99.9]
SIZE = (10, 5)


def draw(sections: Sequence[Section]) -> Iterator[tuple[str, Picture]]:
    """Name and picture of each for which there are data."""
    latencies = [section for section in sections if SAMPLES in section.series]
    throughputs = [section for section in sections if EACH_SECOND in section.series]
    if latencies:
        yield "latency", _latency(latencies)
    if throughputs:
        yield "throughput", _throughput(throughputs)
        yield "cost", _cost(throughputs[0])


def _latency(sections: Sequence[Section]) -> Picture:
    """The tail at the same width as the rest: each step to the right is ten times as rare."""
    picture, axes = _empty("POST to APPROVED")
    for section in sections:
        values = section.series[SAMPLES]
        axes.plot(_rarity(SHARES), [percentile(values, share) for share in SHARES], label=section.title)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(_rarity(TICKS), labels=[f"{tick:g} %" for tick in TICKS])
    axes.set_xlabel("of the orders")
    axes.set_ylabel("ms at most")
    axes.legend()
    return picture


def _rarity(shares: Sequence[float]) -> list[float]:
    """One in so many orders takes longer."""
    return [100 / (100 - share) for share in shares]


def _throughput(sections: Sequence[Section]) -> Picture:
    picture, axes = _empty("Orders APPROVED and in the view")
    for number, section in enumerate(sections):
        for run, rates in enumerate(section.series[EACH_SECOND]):
            label = section.title if run == 0 else None
            axes.plot(range(1, len(rates) + 1), rates, color=f"C{number}", alpha=0.7, label=label)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("second")
    axes.set_ylabel("orders/s")
    axes.legend(loc="lower right")
    return picture


def _cost(section: Section) -> Picture:
    picture, axes = _empty("CPU of one order, at the highest rate")
    whole = {ALL, MACHINE, GENERATOR}
    costs = {f.name.removeprefix(CPU_OF): f.median for f in section.figures if f.name.startswith(CPU_OF)}
    parts = sorted((cost, name) for name, cost in costs.items() if name not in whole)
    bars = axes.barh([name for _, name in parts], [cost for cost, _ in parts], color="tab:blue")
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
