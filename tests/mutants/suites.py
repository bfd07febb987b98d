"""What looks for a planted bug: steps, from quick ones to those that start a stack."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutant import Area, Mutant

ROOT = Path(__file__).parents[2]

PYTEST = ("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider")

NOT_RUN = (
    "tests/unit/tests/mutants",  # it looks for the texts that the bugs change, and would find each of them by its text
    "tests/unit/bench",
    "tests/contract/test_documents.py",
)

FINDS_EVERY_CHANGE = "tests/contract/test_migrations.py::test_a_published_migration_is_never_changed_or_removed"
"""By the file's hash. A bug in a new migration has to be found by what it does."""

ENGINES_ONLY = (
    *("tests/behaviour", "tests/property"),
    *("tests/integration/services", "tests/integration/messaging", "tests/integration/storage"),
)
"""These run the code in their own process. They use the engines of a stack, with databases and topics of their own."""

NEEDS_A_STACK = (*ENGINES_ONLY, "tests/integration", "tests/e2e", "tests/chaos")


@dataclass(frozen=True, slots=True)
class Step:
    """One run of tests.

    Attributes:
        arguments: of Python.
        seconds: after this time the run counts as hung.
        keeps_stack: the stack stays up for the next bug, because no bug can be in its processes or its data.
    """

    name: str
    arguments: tuple[str, ...]
    seconds: float
    needs_stack: bool = False
    keeps_stack: bool = False


def pytest_step(name: str, paths: tuple[str, ...], seconds: float, *, needs_stack: bool = False) -> Step:
    ignored = (*(f"--ignore={path}" for path in NOT_RUN), f"--deselect={FINDS_EVERY_CHANGE}")
    keeps_stack = needs_stack and all(path.startswith(ENGINES_ONLY) for path in paths)
    return Step(name, (*PYTEST, *ignored, *paths), seconds, needs_stack, keeps_stack)


def _simulation(name: str, first: int, runs: int, seconds: float) -> Step:
    return Step(name, ("-m", "tests.simulation", "--seed", str(first), "--runs", str(runs), "--jobs", "1"), seconds)


SUITES: Mapping[str, Step] = {
    "unit": pytest_step("unit", ("tests/unit", "tests/contract", "tests/architecture"), 300.0),
    "simulation": _simulation("simulation", 1, 300, 300.0),
    "long simulation": _simulation("long simulation", 301, 4_000, 1_200.0),
    # The engines' own languages and clients, which are only simulated above.
    "engines": pytest_step(
        "engines",
        ENGINES_ONLY,
        1_800.0,
        needs_stack=True,
    ),
    "stack": pytest_step(
        "stack",
        (
            "tests/integration/infra",
            *(f"tests/e2e/test_{name}.py" for name in ("saga", "http_contract", "http_idempotency", "http_bad_input")),
            *(f"tests/e2e/test_{name}.py" for name in ("http_lists", "audit", "operations", "poison", "keeper")),
            *(f"tests/e2e/test_{name}.py" for name in ("rebuild", "kill_services", "database_outage")),
        ),
        2_400.0,
        needs_stack=True,
    ),
}


def steps_for(mutant: Mutant, area: Area) -> Iterator[Step]:
    """The steps that look for a bug, in this order: the tests that should find it, then the suites of its area."""
    named = mutant.found_by.split()
    quick = [*_unit_tests_of(mutant.file), *(path for path in named if not path.startswith(NEEDS_A_STACK))]
    if quick:
        yield pytest_step("named", tuple(dict.fromkeys(quick)), 180.0)
    slow = tuple(path for path in named if path.startswith(NEEDS_A_STACK))
    if slow:
        yield pytest_step("named, on a stack", slow, 900.0, needs_stack=True)
    yield from (SUITES[name] for name in area.suites)


def _unit_tests_of(file: str) -> list[str]:
    """tests/unit mirrors the sources."""
    source = Path(file)
    tests = sorted((ROOT / "tests" / "unit" / source.parent).glob("test_*.py"))
    names = (f"test_{source.stem}", f"test_{source.stem}_")
    return [
        path.relative_to(ROOT).as_posix() for path in tests if path.stem == names[0] or path.stem.startswith(names[1])
    ]
