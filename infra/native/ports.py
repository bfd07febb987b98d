"""Chooses the port of each component: the usual one if it is free, otherwise another. A stack keeps its ports."""

import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.steps import StepFailed

USUAL = {
    "postgres": 5432,
    "mongo": 27017,
    "nats": 4222,
    "kafka": 9092,
    "kafka-controller": 9093,
    "connect": 8093,
    "supervisor": 9001,
    "customer": 8082,
    "order": 8081,
    "history": 8083,
    "bridge": 8085,
}

PUBLIC = {"customer": "CUSTOMER_PORT", "order": "ORDER_PORT", "history": "HISTORY_PORT"}
"""The components that users call, and the setting of each port. In the default stack these ports are fixed."""

SEARCH_UP_TO = 1000
HIGHEST = 65_535
HOST = "127.0.0.1"


@dataclass(frozen=True)
class PortPlan:
    """How the ports of one stack are chosen.

    Attributes:
        default_stack: whether it is the stack `main`.
        settings: the environment with the settings of PUBLIC.
    """

    default_stack: bool
    settings: Mapping[str, str]

    def fixed(self, component: str) -> int | None:
        """The port that a component must have; None if any free one will do."""
        setting = PUBLIC.get(component)
        if setting is None:
            return None
        chosen = self.settings.get(setting, "")
        if chosen:
            return _port_number(setting, chosen)
        return USUAL[component] if self.default_stack else None

    def first_choice(self, component: str) -> int:
        """Where the search starts. The services of a named stack do not take the ports of the default stack."""
        moved = component in PUBLIC and not self.default_stack
        return USUAL[component] + (10_000 if moved else 0)


def choose(
    plan: PortPlan, remembered: Mapping[str, int], running: Iterable[str], taken: Iterable[int]
) -> dict[str, int]:
    """A port for each component.

    Args:
        plan: fixed ports, and where to search for the others.
        remembered: this stack's ports when it was last up.
        running: the components that run; they keep their ports.
        taken: the ports of other stacks.

    Raises:
        StepFailed: a fixed port is in use.
    """
    ports: dict[str, int] = {}
    running = set(running)
    avoided = set(taken)
    for component in USUAL:
        fixed = plan.fixed(component)
        if component in running and component in remembered and fixed in (None, remembered[component]):
            ports[component] = remembered[component]
        elif fixed is not None:
            _require_free(component, fixed)
            ports[component] = fixed
        else:
            candidates = _candidates(plan, component, remembered)
            ports[component] = next(port for port in candidates if port not in avoided and is_free(port))
        avoided.add(ports[component])
    return ports


def _candidates(plan: PortPlan, component: str, remembered: Mapping[str, int]) -> Iterator[int]:
    if component in remembered:
        yield remembered[component]
    first = plan.first_choice(component)
    yield from range(first, first + SEARCH_UP_TO)
    raise StepFailed(f"no free port for {component} from {first} to {first + SEARCH_UP_TO - 1}")


def _require_free(component: str, port: int) -> None:
    if not is_free(port):
        setting = PUBLIC[component]
        raise StepFailed(
            f"port {port} of the {component} service is in use by another program; "
            f"stop that program, or choose another port: make up {setting}={port + 10_000}"
        )


def is_free(port: int) -> bool:
    """Whether a server could listen there now. Connections in TIME_WAIT do not matter, as servers set SO_REUSEADDR."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _port_number(setting: str, text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= HIGHEST:
        return int(text)
    raise StepFailed(f"{setting}={text} is not a port number (1 to {HIGHEST})")


def recall(file: Path) -> dict[str, int]:
    """The ports by component that remember() has stored; empty if there is no file."""
    return json.loads(file.read_text()) if file.exists() else {}


def remember(file: Path, ports: Mapping[str, int]) -> None:
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(ports, indent=2) + "\n")
    draft.replace(file)


def remembered_in(files: Iterable[Path]) -> set[int]:
    """The ports in these files of remember()."""
    return {port for file in files for port in recall(file).values()}
