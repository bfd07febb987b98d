"""The commands behind the Makefile: `python -m infra [--name NAME] up|down|status|logs|restart|migrate|resend|reset`.

Decides whether the stack runs in containers or as local processes, prepares what that needs, and hands over.
Standard library only: nothing is installed yet when the first `make up` gets here.
"""

import argparse
import os
import subprocess
import sys

from infra import bootstrap, containers, steps

CHOICES = ("compose", "native")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra", description=__doc__)
    parser.add_argument("--name", default="main", help="which stack")
    parser.add_argument("command", choices=("up", "down", "status", "logs", "restart", "migrate", "resend", "reset"))
    parser.add_argument("component", nargs="?", default="")
    parser.add_argument("--follow", action="store_true")
    return parser.parse_args()


def choice() -> str:
    """STACK if it is set; otherwise containers where an engine answers."""
    chosen = os.environ.get("STACK", "")
    if chosen in CHOICES:
        return chosen
    if chosen:
        raise steps.StepFailed(f"STACK={chosen} is neither of: {', '.join(CHOICES)}")
    return "compose" if containers.engine_answers() else "native"


def native(wanted: argparse.Namespace) -> int:
    """Hand over to the virtual environment's Python, which knows the engines."""
    if wanted.command == "up":
        bootstrap.prepare("native")
        print(f'Starting the stack "{wanted.name}":', flush=True)
    elif not bootstrap.PYTHON.exists():
        raise steps.StepFailed("nothing was started from this checkout yet: make up")
    command = [str(bootstrap.PYTHON), "-m", "infra.native", "--name", wanted.name, wanted.command]
    command += [wanted.component] if wanted.component else []
    command += ["--follow"] if wanted.follow else []
    try:
        return subprocess.run(command, cwd=bootstrap.CHECKOUT, check=False).returncode
    except KeyboardInterrupt:
        return 130


def main() -> int:
    os.environ["COMMAND_STARTED_AT"] = str(steps.command_start())
    wanted = arguments()
    try:
        return containers.run(wanted) if choice() == "compose" else native(wanted)
    except steps.StepFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
