"""The stack that the tests share: started when the first test asks for it, stopped after the last.

KEEP_STACK=1 uses a running one and leaves it up, which makes for short rounds while developing;
TEST_STACK names another one than `test`.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.native import Stack
from tests.drivers import System, connected

pytest.register_assert_rewrite(
    "tests.checker", "tests.property.clients", "tests.property.invariants", "tests.property.workers"
)


ATTEMPTS_UNSEEN = 8
"""An event about a row that stays unknown is given up after 6 s instead of a minute."""

KEEPER_INTERVAL_SECONDS = 1
"""The keeper repairs within seconds."""


TIME_LIMITS = {"unit": 60, "architecture": 60, "contract": 60, "chaos": 1_800}
"""Seconds for one test, its fixtures included, by folder; elsewhere pyproject.toml's `timeout`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in TIME_LIMITS:
            item.add_marker(pytest.mark.timeout(TIME_LIMITS[folder]))


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole system, running, empty at first."""
    settings = {
        **os.environ,
        "ATTEMPTS_UNSEEN": str(ATTEMPTS_UNSEEN),
        "KEEPER_INTERVAL_SECONDS": str(KEEPER_INTERVAL_SECONDS),
    }
    stack = Stack(os.environ.get("TEST_STACK", "test"), settings)
    keep = os.environ.get("KEEP_STACK") == "1"
    if not keep:
        stack.reset()
    try:
        stack.up()
        yield stack
    finally:
        if not keep:
            stack.down()


@pytest.fixture(scope="session")
def system(stack: Stack) -> Iterator[System]:
    """Drivers for the stack's three APIs."""
    with connected(stack.ports) as system:
        yield system
