"""A section as text."""

from collections.abc import Sequence
from itertools import groupby

from bench.figures import Figure, Section, round_significant


def render(section: Section) -> str:
    """Markdown tables that are also readable as plain text, then the notes. A value is `median (min - max)`."""
    parts = [f"### {section.title}", *_tables(section.figures), *section.notes]
    return "\n\n".join(parts)


def _tables(figures: Sequence[Figure]) -> list[str]:
    """One table for successive rows with the same columns."""
    rows = [list(cells) for _, cells in groupby(figures, key=lambda figure: (figure.name, figure.unit))]
    tables = groupby(rows, key=lambda cells: tuple(figure.column for figure in cells))
    return [_table(columns, list(cells)) for columns, cells in tables]


def _table(columns: Sequence[str], figures: Sequence[Sequence[Figure]]) -> str:
    header = ["figure", "unit", *(column or "median" for column in columns)]
    rows = [header, *([cells[0].name, cells[0].unit, *map(format_value, cells)] for cells in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    rule = ["-" * widths[0], "-" * widths[1], *("-" * (width - 1) + ":" for width in widths[2:])]
    return "\n".join([_line(header, widths), _line(rule, widths), *(_line(row, widths) for row in rows[1:])])


def format_value(figure: Figure) -> str:
    """`12.3 (11.9 - 14)`; only the value if there was a single run."""
    median, low, high = (
        f"{round_significant(value, 3):,}" for value in (figure.median, min(figure.runs), max(figure.runs))
    )
    return f"{median} ({low} - {high})" if len(figure.runs) > 1 else median


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    names = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return f"| {' | '.join([*names, *numbers])} |"
