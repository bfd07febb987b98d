"""Sections as text."""

from collections.abc import Sequence
from itertools import groupby

from bench.figures import Figure, Section, significant


def render(section: Section) -> str:
    """Markdown tables that are readable as they stand, with the notes below: `median (min - max)` of the runs."""
    parts = [f"### {section.title}", *_tables(section.figures), *section.notes]
    return "\n\n".join(parts)


def _tables(figures: Sequence[Figure]) -> list[str]:
    """A table for all successive lines that have the same columns."""
    lines = [list(cells) for _, cells in groupby(figures, key=lambda figure: (figure.name, figure.unit))]
    tables = groupby(lines, key=lambda cells: tuple(figure.column for figure in cells))
    return [_table(columns, list(rows)) for columns, rows in tables]


def _table(columns: Sequence[str], lines: Sequence[Sequence[Figure]]) -> str:
    header = ["figure", "unit", *(column or "median" for column in columns)]
    rows = [header, *([cells[0].name, cells[0].unit, *map(cell, cells)] for cells in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    rule = ["-" * widths[0], "-" * widths[1], *("-" * (width - 1) + ":" for width in widths[2:])]
    return "\n".join([_line(header, widths), _line(rule, widths), *(_line(row, widths) for row in rows[1:])])


def cell(figure: Figure) -> str:
    """`12.3 (11.9 - 14)`, or only the value of a single run."""
    median, low, high = (f"{significant(value, 3):,}" for value in (figure.median, min(figure.runs), max(figure.runs)))
    return f"{median} ({low} - {high})" if len(figure.runs) > 1 else median


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    names = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return f"| {' | '.join([*names, *numbers])} |"
