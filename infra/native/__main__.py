"""The commands of the Makefile for a stack of local processes."""

import argparse
import os
import signal
import sys
from collections.abc import Callable

from infra.native import report
from infra.native.components import COMPONENTS
from infra.native.stack import DEFAULT_NAME, Stack
from infra.provision import connectors
from infra.provision.settings import Settings
from infra.steps import StepFailed

COMMANDS = ("up", "down", "reset", "status", "logs", "restart", "migrate", "resnapshot", "environment")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.native", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("component", nargs="?", default="", help=f"one of {', '.join(COMPONENTS)}")
    parser.add_argument("--name", default=DEFAULT_NAME, help="which stack")
    parser.add_argument("--follow", action="store_true", help="logs: show what is added, until Ctrl-C")
    return parser.parse_args()


def run(options: argparse.Namespace) -> int:
    """Runs one command; returns the exit code."""
    stack = Stack(options.name)
    commands: dict[str, Callable[[], int | None]] = {
        "up": lambda: up(stack),
        "down": lambda: down(stack),
        "reset": lambda: reset(stack),
        "status": lambda: status(stack),
        "logs": lambda: report.logs(stack, options.component, options.follow),
        "restart": lambda: restart(stack, known(options.component)),
        "migrate": lambda: migrate(stack),
        "resnapshot": lambda: resnapshot(stack),
        "environment": lambda: environment(stack, known(options.component)),
    }
    return commands[options.command]() or 0


def up(stack: Stack) -> None:
    signal.signal(signal.SIGINT, exit_at_once)
    try:
        stack.up()
    except StepFailed as failure:
        again = f"make up NAME={stack.name}"
        raise StepFailed(f"{failure}\n\nWhat runs keeps running. `{again}` continues from here.") from failure


def exit_at_once(_signal: int, _frame: object) -> None:
    """On Ctrl-C: the threads of the steps only wait for processes, and the started processes keep running."""
    print("\ninterrupted; `make up` continues the start, `make down` stops what runs", file=sys.stderr, flush=True)
    os._exit(130)


def down(stack: Stack) -> None:
    stack.down()
    print(f'The stack "{stack.name}" is down.')


def reset(stack: Stack) -> None:
    stack.reset()
    print(f'The stack "{stack.name}" and its data are gone.')


def status(stack: Stack) -> int:
    """Returns 0 while the stack is up and 3, as service managers do, while it is down."""
    print("\n".join(report.status(stack)))
    return 0 if stack.states() else 3


def environment(stack: Stack, component: str) -> None:
    if not stack.ports:
        raise StepFailed(f'there is no stack "{stack.name}": make up NAME={stack.name}')
    for name, value in stack.environment(component).items():
        print(f"{name}={value}")


def resnapshot(stack: Stack) -> None:
    if not stack.states():
        raise StepFailed(f'the stack "{stack.name}" is down: make up')
    print("\n".join(connectors.resnapshot_outboxes(Settings.read(stack.environment("keeper")))))


def migrate(stack: Stack) -> None:
    if not stack.states():
        raise StepFailed(f'the stack "{stack.name}" is down: make up')
    print(stack.migrate())


def known(component: str) -> str:
    if component not in COMPONENTS:
        raise StepFailed(f'COMPONENT="{component}" is none of: {", ".join(COMPONENTS)}')
    return component


def restart(stack: Stack, component: str) -> None:
    """Restarts a component, for example after its code was changed."""
    if not stack.states():
        raise StepFailed(f'the stack "{stack.name}" is down: make up')
    stack.stop(component)
    stack.start(component)
    stack.wait_ready(component)


def main() -> int:
    try:
        return run(arguments())
    except StepFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
