"""The output of `make status` and `make logs`."""

import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from infra.native import processes
from infra.native.components import COMPONENTS
from infra.native.stack import Stack
from infra.steps import StepFailed

MEGABYTE = 1_000_000
LINES_SHOWN = 200


def status(stack: Stack) -> Iterator[str]:
    """The lines: one for each component, and the memory of all."""
    states = stack.states()
    if not states:
        yield f'The stack "{stack.name}" is down.'
        return
    yield f"{'component':<12}{'state':<10}{'pid':>8}{'port':>7}{'up for':>18}{'memory':>9}"
    total = 0
    for name in COMPONENTS:
        state = states[name]
        memory = processes.family_memory(state.pid) if state.pid else 0
        total += memory
        up_for = str(timedelta(seconds=max(0, state.uptime))) if state.pid else "-"
        port = stack.ports.get(name, "-")
        line = (
            f"{name:<12}{state.state.lower():<10}{state.pid or '-':>8}{port:>7}{up_for:>18}{memory // MEGABYTE:>6} MB"
        )
        yield f"{line}  {state.error}".rstrip()
    yield f"{'all':<55}{total // MEGABYTE:>6} MB"


def logs(stack: Stack, component: str, follow: bool) -> int:
    """Prints the end of one log or of all, and new lines until Ctrl-C if `follow`; returns the exit code."""
    files = _log_files(stack, component)
    command = ["tail", "-n", str(LINES_SHOWN if component else 20), *(["-F"] if follow else []), *map(str, files)]
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return 0


def _log_files(stack: Stack, component: str) -> list[Path]:
    files = sorted(stack.layout.logs.glob("*.log"))
    if component:
        files = [file for file in files if file.stem == component]
    if not files:
        known = ", ".join((*COMPONENTS, "supervisor"))
        raise StepFailed(f"no log of {component or 'this stack'} in {stack.layout.logs} (components: {known})")
    return files
