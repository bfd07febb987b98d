"""Figures as they are reported: a value for each run, their median and spread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class Figure:
    """One measured thing.

    Attributes:
        name: what it is, as a line of the table.
        unit: of the values.
        runs: one value for each run.
        column: of the table, where a line has several, e.g. p50 and p99.
    """

    name: str
    unit: str
    runs: Sequence[float]
    column: str = ""

    @property
    def median(self) -> float:
        return median(self.runs)

    def as_json(self) -> dict[str, Any]:
        spread = {"median": self.median, "min": min(self.runs), "max": max(self.runs)}
        rounded: dict[str, Any] = {name: significant(value) for name, value in spread.items()}
        column = {"column": self.column} if self.column else {}
        return {
            "name": self.name,
            **column,
            "unit": self.unit,
            **rounded,
            "runs": [significant(value) for value in self.runs],
        }


@dataclass
class Section:
    """What one part of the benchmark found.

    Attributes:
        title: above its table.
        figures: the lines.
        notes: what a reader has to know about how it was measured.
        series: data for the pictures, by name.
    """

    title: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    series: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, unit: str, *runs: float) -> None:
        self.figures.append(Figure(name, unit, runs))

    def add_lines(self, unit: str, runs: Sequence[Mapping[str, float]], prefix: str = "") -> None:
        """A line for each name; each mapping is one run."""
        for name in runs[0]:
            self.add(f"{prefix}{name}", unit, *(run[name] for run in runs))

    def add_line(self, name: str, unit: str, runs: Sequence[Mapping[str, float]]) -> None:
        """One line with a column for each key; each mapping is one run."""
        self.figures += [Figure(name, unit, [run[column] for run in runs], column) for column in runs[0]]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` per cent of the values do not exceed (nearest rank); 0 < share <= 100.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("there is no percentile of nothing")
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 100)
    return ordered[max(int(rank), 1) - 1]


def distribution(values: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and max."""
    return {f"p{share}": percentile(values, share) for share in PERCENTILES} | {"max": max(values)}


def significant(value: float, digits: int = 4) -> float:
    """Rounded to so many significant digits; whole thousands and more stay whole numbers."""
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() else rounded
