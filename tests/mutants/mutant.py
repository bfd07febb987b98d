"""A planted bug: a small change of one file, of the kind that a reviewer overlooks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted bug: `old`, which stands exactly once in `file`, becomes `new`.

    Attributes:
        found_by: paths of the tests that should find it, separated by spaces. They run before the area's suites.
    """

    name: str
    file: str
    old: str
    new: str
    found_by: str = ""


@dataclass(frozen=True, slots=True)
class Area:
    """The planted bugs of one part of the system, and the suites that look for them, the quick ones first."""

    suites: tuple[str, ...]
    mutants: tuple[Mutant, ...]
