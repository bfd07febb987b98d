"""A stack of its own: the checker compares all orders in it with the ledger of one run."""

from collections.abc import Iterator

import pytest

from infra.native import Stack


@pytest.fixture(scope="module")
def chaos_stack() -> Iterator[Stack]:
    stack = Stack.load("chaos-test")
    stack.reset()
    try:
        stack.up()
        yield stack
    finally:
        stack.reset()
