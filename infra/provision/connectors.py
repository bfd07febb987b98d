"""The connectors of infra/debezium/*.json: registered, kept equal to their files, and started again when they failed.

The files go to Connect as they are. Passwords and addresses in them are `${env:NAME}`, which Connect's worker looks up
in its own environment when it starts a connector, so that none is stored in Kafka or shown by the REST API.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from infra.provision.settings import Settings
from infra.steps import poll

CONNECTORS_FOLDER = Path(__file__).parents[1] / "debezium"
TIMEOUT_SECONDS = 10.0


class NotRunning(Exception):
    """A connector or its task is in another state than RUNNING."""


@dataclass(frozen=True)
class Connector:
    name: str
    config: dict[str, str]


def declared_connectors(folder: Path = CONNECTORS_FOLDER) -> list[Connector]:
    files = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    return [Connector(file["name"], file["config"]) for file in files]


@contextmanager
def connect_api(settings: Settings) -> Iterator[httpx.Client]:
    login = (settings.connect_username, settings.connect_password.get_secret_value())
    with httpx.Client(base_url=settings.connect_url, auth=login, timeout=TIMEOUT_SECONDS) as api:
        yield api


def check_open(settings: Settings) -> None:
    """Raises until Connect serves requests; its port is open, and answers 404, some time before that."""
    with connect_api(settings) as api:
        api.get("/connectors").raise_for_status()


def reconcile(settings: Settings) -> list[str]:
    """Register what is missing or differs, and start what failed again; answers what was changed."""
    with connect_api(settings) as api:
        return [change for connector in declared_connectors() for change in _reconcile_one(api, connector)]


def _reconcile_one(api: httpx.Client, connector: Connector) -> list[str]:
    actual = api.get(f"/connectors/{connector.name}/config")
    if actual.status_code != httpx.codes.NOT_FOUND:
        actual.raise_for_status()
    if actual.is_error or actual.json() != connector.config | {"name": connector.name}:
        api.put(f"/connectors/{connector.name}/config", json=connector.config).raise_for_status()
        return [f"connector {connector.name}"]
    states = _states(api, connector.name)
    if "STOPPED" in states:
        # Left half-way by resend().
        api.put(f"/connectors/{connector.name}/resume").raise_for_status()
        return [f"resumed {connector.name}"]
    if "FAILED" in states:
        only_failed = {"includeTasks": "true", "onlyFailed": "true"}
        api.post(f"/connectors/{connector.name}/restart", params=only_failed).raise_for_status()
        return [f"restarted {connector.name}"]
    return []


def check_running(settings: Settings) -> None:
    """Raises NotRunning until each connector and its task run."""
    with connect_api(settings) as api:
        for connector in declared_connectors():
            states = _states(api, connector.name)
            if states != ["RUNNING", "RUNNING"]:
                raise NotRunning(f"{connector.name} and its task: {', '.join(states) or 'unknown'}")


def resend(settings: Settings) -> list[str]:
    """Send every row again that the outboxes still hold: for event topics that lost what was in them.

    A connector without a position begins with a snapshot of its outbox. Readers know repeated events by their id and
    by the aggregate's version.
    """
    with connect_api(settings) as api:
        for connector in declared_connectors():
            api.put(f"/connectors/{connector.name}/stop").raise_for_status()
            poll(partial(_forget_position, api, connector.name), within=TIMEOUT_SECONDS)
            api.put(f"/connectors/{connector.name}/resume").raise_for_status()
    return [f"{connector.name} sends its outbox again" for connector in declared_connectors()]


def _forget_position(api: httpx.Client, name: str) -> None:
    """Refused until the task has really stopped."""
    api.delete(f"/connectors/{name}/offsets").raise_for_status()


def _states(api: httpx.Client, name: str) -> list[str]:
    """The states of the connector and of its task; nothing while Connect does not know them yet."""
    answer = api.get(f"/connectors/{name}/status")
    if answer.status_code == httpx.codes.NOT_FOUND:
        return []
    status = answer.raise_for_status().json()
    return [status["connector"]["state"], *(task["state"] for task in status["tasks"])]
