"""The report: build/bench.json, build/bench.md and the pictures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import pictures, table
from bench.figures import Section


def write(folder: Path, machine: Mapping[str, str], guarantees: Mapping[str, str], sections: Sequence[Section]) -> None:
    """Writes all files. It is called after each part, so a run that fails later still leaves the earlier figures.

    Args:
        machine: what describes the machine, by name.
        guarantees: the durability settings of the servers, by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    result = as_json(machine, guarantees, sections)
    (folder / "bench.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (folder / "bench.md").write_text(as_markdown(machine, guarantees, sections), encoding="utf-8")
    for name, picture in pictures.draw(sections):
        picture.savefig(folder / f"bench-{name}.png", dpi=pictures.DPI)


def as_json(machine: Mapping[str, str], guarantees: Mapping[str, str], sections: Sequence[Section]) -> dict[str, Any]:
    parts = [
        {
            "title": section.title,
            "figures": [figure.as_json() for figure in section.figures],
            "notes": section.notes,
            "series": section.series,
        }
        for section in sections
    ]
    return {"machine": dict(machine), "guarantees": dict(guarantees), "parts": parts}


def as_markdown(machine: Mapping[str, str], guarantees: Mapping[str, str], sections: Sequence[Section]) -> str:
    """The tables. They are also readable as plain text."""
    parts = [
        "# Benchmark",
        "; ".join(f"{name} {value}" for name, value in machine.items()),
        "Durability settings: " + ", ".join(f"{name}={value}" for name, value in guarantees.items()),
        "Each figure is the median of its runs (min - max).",
        *(table.render(section) for section in sections),
    ]
    return "\n\n".join(parts) + "\n"
