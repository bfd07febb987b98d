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
    "services/history/projection.py": {"services.history.events"},
    "services/history/generations.py": set[str](),
    "services/bridge/translate.py": {"contracts.headers"},
}
"""Modules without effects, and what they may import besides the standard library."""

MIRRORED = ("bench", "contracts", "infra", "messaging", "operations", "runtime", "services", "storage", "tests", "web")
"""The rooms whose tests in tests/unit and tests/integration stand where their sources do."""

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
def test_a_pure_module_imports_the_standard_library_and_its_events_only(name: str) -> None:
    imported = {module for module in _imports(ROOT / name) if not _is_within(module, set(sys.stdlib_module_names))}
    assert {module for module in imported if not _is_within(module, PURE[name])} == set()


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_imports_no_clock_and_no_random_numbers(name: str) -> None:
    assert not {"time", "datetime", "random", "uuid", "os", "asyncio"} & set(_imports(ROOT / name))


def test_the_services_know_mongodbs_driver_in_one_file_only() -> None:
    services = [path for path in SOURCES if not _name(path).startswith(("infra", "operations", "bench"))]
    knowing = {_name(path) for path in services for module in _imports(path) if _is_within(module, MONGODB)}
    assert knowing == {"services/history/views.py"}


def test_no_service_or_room_imports_the_tests_or_the_infrastructure() -> None:
    services = [path for path in SOURCES if not _name(path).startswith(("infra", "operations", "bench"))]
    assert {
        _name(path) for path in services for module in _imports(path) if _is_within(module, {"infra", "tests"})
    } == set()


def test_no_file_is_longer_than_300_lines() -> None:
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in [*SOURCES, *TESTS]}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES_OF_A_FILE} == {}


def test_no_function_is_longer_than_70_lines() -> None:
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


@pytest.mark.parametrize("kind", ["unit", "integration"])
def test_the_tests_of_a_source_file_stand_in_its_folder_and_have_its_name(kind: str) -> None:
    """For messaging/pull.py: tests/unit/messaging/test_pull.py, and test_pull_<aspect>.py if there are several."""
    folder = ROOT / "tests" / kind
    tests = [path.relative_to(folder) for path in sorted(folder.rglob("test_*.py"))]
    mirrored = [path for path in tests if path.parts[0] in MIRRORED]
    assert mirrored
    assert [str(path) for path in mirrored if not _has_source(path)] == []
    assert tests == mirrored


def _has_source(test: Path) -> bool:
    name = test.stem.removeprefix("test_")
    sources = [path.stem.strip("_").replace("-", "_") for path in (ROOT / test.parent).glob("*") if path.is_file()]
    return any(name == source or name.startswith(f"{source}_") for source in sources if source)


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
