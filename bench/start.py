"""Start: `make up` of a stack without data, until it is ready."""

import os
import subprocess
import time

from bench.figures import Section
from infra.native import Stack
from infra.native.layout import CHECKOUT

MAKE_VARIABLES = frozenset({"MAKEFLAGS", "MFLAGS", "MAKELEVEL"})
"""Set by the `make` that runs the benchmark. They would pass its options (-j, QUICK=1) on to the inner `make`."""


class StartFailed(Exception):
    """`make up` failed; the message has its output."""


def measure(stack: Stack, runs: int) -> Section:
    """Deletes the stack's data and starts it, `runs` times. The stack is left running.

    Raises:
        StartFailed: `make up` failed.
    """
    section = Section("Start")
    section.add("make up, without data, until ready", "s", *(_start_without_data(stack) for _ in range(runs)))
    section.notes.append(
        "After `make reset`: no data, no secrets, no topics. Packages and jars are installed, and their files are in "
        "the page cache. Ready: an event of each service has passed from its outbox into the stream."
    )
    return section


def _start_without_data(stack: Stack) -> float:
    """Seconds from `make up` until the stack is ready."""
    stack.reset()
    began = time.monotonic()
    command = ["make", "up", f"NAME={stack.name}", "STACK=native"]
    environment = {name: value for name, value in os.environ.items() if name not in MAKE_VARIABLES}
    made = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise StartFailed(f"{' '.join(command)}: {made.stdout}{made.stderr}")
    return time.monotonic() - began
