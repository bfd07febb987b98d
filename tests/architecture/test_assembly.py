"""Each service is put together in one place: the `assemble` of its service.py, which production and the tests call."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("bridge", "customer", "history", "order")

CALLERS = {
    "bench": {"order"},
    "tests/property": {"customer", "history", "order"},
    "tests/simulation": {"bridge", "customer", "history", "order"},
}
"""The folders that run services over ports of their own, and which services."""

PARTS = {"GroupCommit", "Housekeeping", "Relay", "Subscriber", "Watch"}
"""Only `assemble` makes these of a service's handlers and settings."""

OPERATORS_COMMANDS = {"republish"}
"""Handlers that are no part of a running service."""


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def _assembled(path: Path) -> set[str]:
    """The services whose `assemble` a file calls."""
    tree = _tree(path)
    functions, modules = dict(_imported_functions(tree)), dict(_imported_modules(tree))
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    direct = {functions[f.id] for f in called if isinstance(f, ast.Name) and f.id in functions}
    of_modules = {
        modules[f.value.id]
        for f in called
        if isinstance(f, ast.Attribute)
        and f.attr == "assemble"
        and isinstance(f.value, ast.Name)
        and f.value.id in modules
    }
    return direct | of_modules


def _imported_functions(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Of `from services.order.service import assemble`: the local name and `order`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in {f"services.{name}.service" for name in SERVICES}:
            yield from ((a.asname or a.name, node.module.split(".")[1]) for a in node.names if a.name == "assemble")


def _imported_modules(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Of `from services.order import service`: the local name and `order`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in {f"services.{name}" for name in SERVICES}:
            yield from ((a.asname or a.name, node.module.split(".")[1]) for a in node.names if a.name == "service")


def _handlers_used(path: Path) -> set[str]:
    """The handlers of services that a file names: it imports them, or finds them in the module that it imports."""
    tree = _tree(path)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    used = {
        alias.name
        for node in imports
        if str(node.module).startswith("services.") and str(node.module).endswith(".handlers")
        for alias in node.names
    }
    modules = {a.asname or a.name for node in imports for a in node.names if a.name == "handlers"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            used.add(node.attr)
    return used - OPERATORS_COMMANDS


def _called(path: Path) -> set[str]:
    calls = [node.func for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)]
    return {function.id for function in calls if isinstance(function, ast.Name)}


@pytest.mark.parametrize("service", SERVICES)
def test_the_process_of_a_service_is_its_assemble_over_the_real_ports(service: str) -> None:
    assert _assembled(ROOT / "services" / service / "app.py") == {service}


@pytest.mark.parametrize("folder", CALLERS)
def test_whatever_else_runs_a_service_calls_the_same_assemble(folder: str) -> None:
    assert set().union(*map(_assembled, _files(folder))) == CALLERS[folder]


@pytest.mark.parametrize("folder", ["tests/property", "tests/simulation"])
def test_the_tests_that_run_services_use_no_handler_and_make_no_part_themselves(folder: str) -> None:
    files = _files(folder)
    assert {path.name: handlers for path in files if (handlers := _handlers_used(path))} == {}
    assert {path.name: parts for path in files if (parts := _called(path) & PARTS)} == {}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_makes_its_parts_in_service_py_only(service: str) -> None:
    making = {path.name for path in _files(f"services/{service}") if _called(path) & PARTS}
    assert making == {"service.py"}
