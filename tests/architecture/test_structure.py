"""The rules that keep the parts apart and small, held by looking at the source itself."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("contracts", "runtime", "storage", "messaging", "web", "services", "operations", "infra", "bench")

SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MAX_LINES_OF_A_FILE = 300
MAX_LINES_OF_A_FUNCTION = 70

PURE = {
    "services/customer/domain.py": {"contracts", "services.customer.events"},
    "services/order/domain.py": {"contracts", "services.order.events"},
    "services/history/projection.py": {"contracts", "services.history.events"},
    "services/history/generations.py": set[str](),
    "services/bridge/translate.py": {"contracts"},
}
"""Modules without input and output, and what they may import besides the standard library."""

MONGODB = {"motor", "pymongo", "bson"}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{_name(path)} imports relatively"
            yield node.module or ""


def _is_within(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def test_every_pure_module_is_where_the_rules_look_for_it() -> None:
    assert [name for name in PURE if not (ROOT / name).is_file()] == []
    domains = {_name(path) for path in (ROOT / "services").rglob("domain.py")}
    assert domains <= PURE.keys()


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_imports_the_standard_library_and_the_language_of_its_events_only(name: str) -> None:
    imported = {module for module in _imports(ROOT / name) if not _is_within(module, set(sys.stdlib_module_names))}
    assert {module for module in imported if not _is_within(module, PURE[name])} == set()


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_reads_no_clock_and_throws_no_dice(name: str) -> None:
    assert not {"time", "datetime", "random", "uuid", "os", "asyncio"} & set(_imports(ROOT / name))


def test_the_services_know_mongodbs_driver_in_one_file_only() -> None:
    services = [path for path in SOURCES if _name(path).startswith(("contracts", "messaging", "web", "services"))]
    knowing = {_name(path) for path in services for module in _imports(path) if _is_within(module, MONGODB)}
    assert knowing == {"services/history/views.py"}


def test_no_service_or_library_knows_the_tests_or_the_stack_that_it_runs_in() -> None:
    services = [path for path in SOURCES if not _name(path).startswith(("infra", "operations", "bench"))]
    assert {
        _name(path) for path in services for module in _imports(path) if _is_within(module, {"infra", "tests"})
    } == set()


def test_no_file_is_longer_than_fits_one_idea() -> None:
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in [*SOURCES, *TESTS]}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES_OF_A_FILE} == {}


def test_no_function_is_longer_than_fits_a_screen() -> None:
    lengths = {
        f"{_name(path)}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in [*SOURCES, *TESTS]
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: length for name, length in lengths.items() if length > MAX_LINES_OF_A_FUNCTION} == {}


def test_the_tests_wait_in_one_place_only() -> None:
    # tests/chaos is a generator of load and faults: its pauses are its schedule, not its way to wait.
    waiting = [path for path in TESTS if not _name(path).startswith("tests/chaos/")]
    sleeping = {_name(path) for path in waiting for node in ast.walk(_tree(path)) if _is_sleep(node)}
    assert sleeping == {"tests/eventually.py"}


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    marks = {"skip", "skipif", "xfail", "importorskip"}
    marked = {
        _name(path)
        for path in TESTS
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Attribute) and node.attr in marks
    }
    assert marked == set()


def test_the_packages_depend_on_each_other_as_the_contracts_say() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    outcome = subprocess.run([str(program), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def _is_sleep(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module in ("time", "asyncio") and any(alias.name == "sleep" for alias in node.names)
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "sleep"
        and isinstance(node.value, ast.Name)
        and node.value.id in ("time", "asyncio")
    )
