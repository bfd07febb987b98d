"""The commands behind the Makefile: `python -m infra [--name NAME] COMMAND`, with the COMMANDS below.

Decides whether the stack runs in containers or as local processes, installs what that needs, and runs the command.
Standard library only: at the first `make up` nothing is installed yet.
"""

import argparse
import os
import subprocess
import sys

from infra import bootstrap, containers, steps

COMMANDS = ("up", "down", "status", "logs", "restart", "migrate", "resnapshot", "reset")
CHOICES = ("compose", "native")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra", description=__doc__)
    parser.add_argument("--name", default="main", help="which stack")
    parser.add_argument(
        "command", choices=("up", "down", "status", "logs", "restart", "migrate", "resnapshot", "reset")
    )
    parser.add_argument("component", nargs="?", default="")
    parser.add_argument("--follow", action="store_true")
    return parser.parse_args()


def kind_of_stack() -> str:
    """STACK if it is set; otherwise `compose` where a container engine answers, or else `native`."""
    chosen = os.environ.get("STACK", "")
    if chosen in CHOICES:
        return chosen
    if chosen:
        raise steps.StepFailed(f"STACK={chosen} is neither of: {', '.join(CHOICES)}")
    return "compose" if containers.engine_answers() else "native"


def native(options: argparse.Namespace) -> int:
    """Runs the command with the virtual environment's Python, where the engines are installed."""
    if options.command == "up":
        bootstrap.prepare("native")
        print(f'Starting the stack "{options.name}":', flush=True)
    elif not bootstrap.PYTHON.exists():
        raise steps.StepFailed("no stack was started from this checkout yet: make up")
    command = [str(bootstrap.PYTHON), "-m", "infra.native", "--name", options.name, options.command]
    command += [options.component] if options.component else []
    command += ["--follow"] if options.follow else []
    try:
        return subprocess.run(command, cwd=bootstrap.CHECKOUT, check=False).returncode
    except KeyboardInterrupt:
        return 130


def main() -> int:
    os.environ["COMMAND_STARTED_AT"] = str(steps.command_start())
    options = arguments()
    try:
        return containers.run(options) if kind_of_stack() == "compose" else native(options)
    except steps.StepFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
