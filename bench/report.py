"""What `make bench` leaves behind: build/bench.json, build/bench.md and the pictures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import pictures, table
from bench.figures import Section


def write(folder: Path, about: Mapping[str, str], guarantees: Mapping[str, str], sections: Sequence[Section]) -> None:
    """Also called with what there is so far, so that a long run that fails late leaves its figures."""
    folder.mkdir(parents=True, exist_ok=True)
    result = as_json(about, guarantees, sections)
    (folder / "bench.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (folder / "bench.md").write_text(as_markdown(about, guarantees, sections), encoding="utf-8")
    for name, figure in pictures.draw(sections):
        figure.savefig(folder / f"bench-{name}.png", dpi=120)


def as_json(about: Mapping[str, str], guarantees: Mapping[str, str], sections: Sequence[Section]) -> dict[str, Any]:
    parts = [
        {
            "title": section.title,
            "figures": [figure.as_json() for figure in section.figures],
            "notes": section.notes,
            "series": section.series,
        }
        for section in sections
    ]
    return {"machine": dict(about), "guarantees": dict(guarantees), "parts": parts}


def as_markdown(about: Mapping[str, str], guarantees: Mapping[str, str], sections: Sequence[Section]) -> str:
    """The tables, readable as plain text too."""
    parts = [
        "# Benchmark",
        "; ".join(f"{name} {value}" for name, value in about.items()),
        "Stays on: " + ", ".join(f"{name}={value}" for name, value in guarantees.items()),
        "Each figure is the median of its runs (min - max).",
        *(table.render(section) for section in sections),
    ]
    return "\n\n".join(parts) + "\n"
