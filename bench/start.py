"""From nothing to ready: `make up` of a stack that has no data."""

import os
import subprocess
import time

from bench.figures import Section
from infra.native import Stack
from infra.native.layout import CHECKOUT


class StartFailed(Exception):
    """`make up` did not bring the stack up."""


def measure(stack: Stack, runs: int) -> Section:
    """Leaves the stack of the last run up; its older data are deleted."""
    section = Section("Start")
    section.add("make up, from nothing to ready", "s", *(_from_nothing(stack) for _ in range(runs)))
    section.notes.append(
        "After `make reset`: no data, no secrets, no topics; packages and jars are installed and the files warm. "
        "Ready: an event of each service has gone from its outbox into the stream."
    )
    return section


def _from_nothing(stack: Stack) -> float:
    stack.reset()
    began = time.monotonic()
    command = ["make", "up", f"NAME={stack.name}", "STACK=native"]
    # What make itself was told (-j, QUICK=1) is not this make's business.
    environment = {
        name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    }
    made = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise StartFailed(f"{' '.join(command)}: {made.stdout}{made.stderr}")
    return time.monotonic() - began
