"""The stack in containers: Docker Compose with infra/compose.yaml, and the same commands as the native stack.

Standard library only: with containers, nothing is installed into a virtual environment.
"""

import argparse
import os
import shutil
import subprocess
import time
from pathlib import Path

from infra import credentials, ready_message, steps

CHECKOUT = Path(__file__).resolve().parents[1]
COMPOSE_FILE = CHECKOUT / "infra" / "compose.yaml"
ENGINE_SECONDS = 10
PORTS = {"order": 8081, "customer": 8082, "history": 8083}
"""The services whose ports are published, and their ports inside of their containers."""


def engine_answers() -> bool:
    """Whether `docker info` reaches an engine."""
    if shutil.which("docker") is None:
        return False
    try:
        answer = subprocess.run(["docker", "info"], capture_output=True, timeout=ENGINE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return answer.returncode == 0


def run(options: argparse.Namespace) -> int:
    """Runs one command of the Makefile; returns the exit code."""
    component = [options.component] if options.component else []
    follow = ["--follow"] if options.follow else []
    commands = {
        "down": ["down", "--timeout", "30"],
        "status": ["ps", "--all"],
        "logs": ["logs", "--tail", "200", *follow, *component],
        "restart": ["restart", *component],
        "migrate": ["exec", "--no-TTY", "keeper", "python", "-m", "infra.provision", "migrate"],
        "resnapshot": ["exec", "--no-TTY", "keeper", "python", "-m", "infra.provision", "resnapshot"],
    }
    match options.command:
        case "up":
            return _up(options.name)
        case "reset":
            return _reset(options.name)
        case other:
            return _compose(options.name, *commands[other])


def folder(name: str) -> Path:
    return CHECKOUT / ".stack" / name


def command(name: str, *arguments: str) -> list[str]:
    """The docker compose command for a stack; each stack is a project with its own volumes and networks."""
    secrets = folder(name) / "secrets.env"
    credentials.ensure(secrets)
    if name != "main":
        for setting in ("ORDER_PORT", "CUSTOMER_PORT", "HISTORY_PORT"):
            # Port 0 is any free port: several stacks can run side by side.
            os.environ.setdefault(setting, "0")
    project = ["--project-name", f"customers-and-orders-{name}", "--env-file", str(secrets)]
    return ["docker", "compose", *project, "--file", str(COMPOSE_FILE), *arguments]


def _compose(name: str, *arguments: str) -> int:
    return subprocess.run(command(name, *arguments), cwd=CHECKOUT, check=False).returncode


def _up(name: str) -> int:
    # All services share two images. Built in a step of their own, each is built once instead of once a service.
    for arguments in (["build", "keeper", "kafka"], ["up", "--detach", "--wait", "--wait-timeout", "300"]):
        if (failed := _compose(name, *arguments)) != 0:
            return failed
    flows = _compose(name, "exec", "--no-TTY", "keeper", "python", "-m", "infra.provision", "probe", "--within", "60")
    if flows != 0:
        raise steps.StepFailed("all containers run, but no event arrives in the stream from an outbox: make logs")
    print(ready_message.message(name, published_ports(name), time.time() - steps.command_start()))
    return 0


def published_ports(name: str) -> dict[str, int]:
    """The ports of this machine by component, from the engine: it chooses them for a stack with its own name."""
    return {component: _published_port(name, component, inside) for component, inside in PORTS.items()}


def _published_port(name: str, component: str, inside: int) -> int:
    answer = subprocess.run(command(name, "port", component, str(inside)), capture_output=True, text=True, check=True)
    return int(answer.stdout.strip().rpartition(":")[2])


def _reset(name: str) -> int:
    ended = _compose(name, "down", "--timeout", "30", "--volumes")
    if ended == 0:
        shutil.rmtree(folder(name), ignore_errors=True)
    return ended
