"""The commands of the README's session give the answers that the README shows."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from infra.native import Stack
from tests.eventually import eventually

README = Path(__file__).parents[2] / "README.md"
SESSION = re.compile(r"<!-- session.*?-->\n```console\n(.*?)```\n<!-- end of session -->", re.DOTALL)
USUAL_PORTS = {"8081": "order", "8082": "customer", "8083": "history"}


def readme_session() -> list[tuple[str, str]]:
    """Each command of the README's session, with its answer."""
    found = SESSION.search(README.read_text())
    assert found, "the README has no session"
    steps = [step.split("\n", 1) for step in found[1].removeprefix("$ ").split("\n$ ")]
    return [(command, answer.strip()) for command, answer in steps]


def run(command: str, stack: Stack) -> str:
    arguments = shlex.split(_with_ports_of(stack, command))
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout


def _with_ports_of(stack: Stack, command: str) -> str:
    return re.sub(r"localhost:(\d+)", lambda port: f"127.0.0.1:{stack.port(USUAL_PORTS[port[1]])}", command)


@pytest.fixture
def fresh_stack() -> Iterator[Stack]:
    """An empty stack: its ids begin at 1."""
    stack = Stack.load("readme")
    stack.reset()
    try:
        stack.up()
        yield stack
    finally:
        stack.reset()


def test_the_session_in_the_readme_gives_the_answers_that_it_shows(fresh_stack: Stack) -> None:
    for command, answer in readme_session():
        if " -X " in command or " -d " in command:
            assert run(command, fresh_stack) == answer
        else:
            # The view lags by some milliseconds, less than a person needs to type.
            eventually(partial(_assert_answers, command, answer, fresh_stack))


def _assert_answers(command: str, answer: str, stack: Stack) -> None:
    assert run(command, stack) == answer
