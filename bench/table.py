"""Sections as text."""

from collections.abc import Sequence

from bench.figures import Figure, Section, significant

HEADER = ("figure", "unit", "median", "min", "max", "runs")


def render(section: Section) -> str:
    """A Markdown table that is readable as it stands, with its notes below."""
    rows = [HEADER, *(_row(figure) for figure in section.figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    rule = ["-" * widths[0], "-" * widths[1], *("-" * (width - 1) + ":" for width in widths[2:])]
    lines = [f"### {section.title}", "", _line(rows[0], widths), f"| {' | '.join(rule)} |"]
    lines += [_line(row, widths) for row in rows[1:]]
    return "\n".join([*lines, *(f"\n{note}" for note in section.notes)])


def _row(figure: Figure) -> tuple[str, ...]:
    spread = (figure.median, min(figure.runs), max(figure.runs))
    return (figure.name, figure.unit, *(f"{significant(value):,}" for value in spread), str(len(figure.runs)))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    text = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return f"| {' | '.join([*text, *numbers])} |"
