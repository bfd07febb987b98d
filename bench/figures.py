"""Figures as they are reported: one value for each run, their median and their spread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class Figure:
    """One measured quantity.

    Attributes:
        name: the row of the table.
        unit: of the values.
        runs: one value for each run.
        column: the column of the table, e.g. p50 or p99; empty in a table with one column of values.
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
        rounded: dict[str, Any] = {name: round_significant(value) for name, value in spread.items()}
        column = {"column": self.column} if self.column else {}
        return {
            "name": self.name,
            **column,
            "unit": self.unit,
            **rounded,
            "runs": [round_significant(value) for value in self.runs],
        }


@dataclass
class Section:
    """The result of one part of the benchmark.

    Attributes:
        title: above the table.
        figures: the rows of the table.
        notes: how it was measured, as far as a reader needs it.
        series: data for the pictures, by name.
    """

    title: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    series: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, unit: str, *runs: float) -> None:
        """Adds a row with one column; a value for each run."""
        self.figures.append(Figure(name, unit, runs))

    def add_rows(self, unit: str, runs: Sequence[Mapping[str, float]], prefix: str = "") -> None:
        """Adds a row for each key; each mapping is one run."""
        for name in runs[0]:
            self.add(f"{prefix}{name}", unit, *(run[name] for run in runs))

    def add_columns(self, name: str, unit: str, runs: Sequence[Mapping[str, float]]) -> None:
        """Adds one row with a column for each key; each mapping is one run."""
        self.figures += [Figure(name, unit, [run[column] for run in runs], column) for column in runs[0]]


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` per cent of the values do not exceed (nearest rank).

    Args:
        percent: above 0, at most 100.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values: there is no percentile")
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(int(rank), 1) - 1]


def distribution(values: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and max.

    Raises:
        ValueError: there are no values.
    """
    return {f"p{percent}": percentile(values, percent) for percent in PERCENTILES} | {"max": max(values)}


def round_significant(value: float, digits: int = 4) -> float:
    """Rounds to so many significant digits. The result is an int if it is a whole number."""
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() else rounded
