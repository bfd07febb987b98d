"""The stack in containers: Docker Compose with infra/compose.yaml, the same commands and the same last words.

Standard library only, as nothing needs to be installed here where containers do the work.
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
"""The services that are reached from outside, and their ports inside of their containers."""


def engine_answers() -> bool:
    """Whether `docker info` reaches an engine."""
    if shutil.which("docker") is None:
        return False
    try:
        asked = subprocess.run(["docker", "info"], capture_output=True, timeout=ENGINE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def run(wanted: argparse.Namespace) -> int:
    """One command of the Makefile; answers the exit code."""
    component = [wanted.component] if wanted.component else []
    follow = ["--follow"] if wanted.follow else []
    commands = {
        "down": ["down", "--timeout", "30"],
        "status": ["ps", "--all"],
        "logs": ["logs", "--tail", "200", *follow, *component],
        "restart": ["restart", *component],
        "migrate": ["exec", "--no-TTY", "keeper", "python", "-m", "infra.provision", "migrate"],
        "resend": ["exec", "--no-TTY", "keeper", "python", "-m", "infra.provision", "resend"],
    }
    match wanted.command:
        case "up":
            return _up(wanted.name)
        case "reset":
            return _reset(wanted.name)
        case other:
            return _compose(wanted.name, *commands[other])


def folder(name: str) -> Path:
    return CHECKOUT / ".stack" / name


def command(name: str, *arguments: str) -> list[str]:
    """docker compose for the stack of a name: its own project, so that its volumes and networks are its own."""
    secrets = folder(name) / "secrets.env"
    credentials.ensure(secrets)
    if name != "main":
        for setting in ("ORDER_PORT", "CUSTOMER_PORT", "HISTORY_PORT"):
            # Port 0: any free one, so that stacks can run side by side.
            os.environ.setdefault(setting, "0")
    project = ["--project-name", f"customers-and-orders-{name}", "--env-file", str(secrets)]
    return ["docker", "compose", *project, "--file", str(COMPOSE_FILE), *arguments]


def _compose(name: str, *arguments: str) -> int:
    return subprocess.run(command(name, *arguments), cwd=CHECKOUT, check=False).returncode


def _up(name: str) -> int:
    # Two images serve all services: built by themselves first, each is built once, not for every service that uses it.
    for arguments in (["build", "keeper", "kafka"], ["up", "--detach", "--wait", "--wait-timeout", "300"]):
        if (failed := _compose(name, *arguments)) != 0:
            return failed
    flows = _compose(name, "exec", "--no-TTY", "keeper", "python", "-m", "infra.provision", "probe", "--within", "60")
    if flows != 0:
        raise steps.StepFailed("everything runs, but no event flows from an outbox to the stream: make logs")
    print(ready_message.message(name, published_ports(name), time.time() - steps.command_start()))
    return 0


def published_ports(name: str) -> dict[str, int]:
    """As the engine tells them: it chose them itself for a stack with a name of its own."""
    return {component: _published_port(name, component, inside) for component, inside in PORTS.items()}


def _published_port(name: str, component: str, inside: int) -> int:
    asked = subprocess.run(command(name, "port", component, str(inside)), capture_output=True, text=True, check=True)
    return int(asked.stdout.strip().rpartition(":")[2])


def _reset(name: str) -> int:
    ended = _compose(name, "down", "--timeout", "30", "--volumes")
    if ended == 0:
        shutil.rmtree(folder(name), ignore_errors=True)
    return ended
