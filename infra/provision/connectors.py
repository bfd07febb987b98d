"""The two Debezium connectors: registered, kept equal to their template, and restarted when they have failed.

infra/debezium/outbox.json is the template of both; `<service>` and `<SERVICE>` in it stand for the service's name.
Passwords and addresses are `${env:NAME}`: Connect's worker reads them from its own environment when it starts a
connector, so they are neither stored in Kafka nor shown by the REST API.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from infra.provision.settings import SERVICES, Settings
from infra.steps import poll

TEMPLATE = Path(__file__).parents[1] / "debezium" / "outbox.json"
TIMEOUT_SECONDS = 10.0


class NotRunning(Exception):
    """A connector or its task is in another state than RUNNING."""


@dataclass(frozen=True)
class Connector:
    """A connector's name and its configuration as Connect's REST API takes it."""

    name: str
    config: dict[str, str]


def declared_connectors(template: Path = TEMPLATE) -> list[Connector]:
    """One connector for each service with an outbox."""
    text = template.read_text(encoding="utf-8")
    return [_connector(text, service) for service in SERVICES]


def _connector(template: str, service: str) -> Connector:
    filled = json.loads(template.replace("<service>", service).replace("<SERVICE>", service.upper()))
    return Connector(filled["name"], filled["config"])


@contextmanager
def connect_api(settings: Settings) -> Iterator[httpx.Client]:
    """A client of Connect's REST API, logged in."""
    login = (settings.connect_username, settings.connect_password.get_secret_value())
    with httpx.Client(base_url=settings.connect_url, auth=login, timeout=TIMEOUT_SECONDS) as api:
        yield api


def check_open(settings: Settings) -> None:
    """Raises until Connect serves requests. For a while after it opened its port, it answers 404."""
    with connect_api(settings) as api:
        api.get("/connectors").raise_for_status()


def reconcile(settings: Settings) -> list[str]:
    """Registers connectors that are missing or differ, and restarts failed ones; returns what was changed."""
    with connect_api(settings) as api:
        return [change for connector in declared_connectors() for change in _reconcile_one(api, connector)]


def _reconcile_one(api: httpx.Client, connector: Connector) -> list[str]:
    actual = api.get(f"/connectors/{connector.name}/config")
    if actual.status_code != httpx.codes.NOT_FOUND:
        actual.raise_for_status()
    if actual.is_error or actual.json() != connector.config | {"name": connector.name}:
        api.put(f"/connectors/{connector.name}/config", json=connector.config).raise_for_status()
        return [f"registered the connector {connector.name}"]
    states = _states(api, connector.name)
    if "STOPPED" in states:
        # An interrupted resnapshot_outboxes() leaves a connector stopped.
        api.put(f"/connectors/{connector.name}/resume").raise_for_status()
        return [f"resumed the connector {connector.name}"]
    if "FAILED" in states:
        only_failed = {"includeTasks": "true", "onlyFailed": "true"}
        api.post(f"/connectors/{connector.name}/restart", params=only_failed).raise_for_status()
        return [f"restarted the connector {connector.name}"]
    return []


def check_running(settings: Settings) -> None:
    """Raises NotRunning until each connector and its task run."""
    with connect_api(settings) as api:
        for connector in declared_connectors():
            states = _states(api, connector.name)
            if states != ["RUNNING", "RUNNING"]:
                raise NotRunning(f"{connector.name} and its task: {', '.join(states) or 'unknown'}")


def resnapshot_outboxes(settings: Settings) -> list[str]:
    """Makes Debezium send every row that the outboxes still hold, again, from a snapshot.

    For event topics that have lost their records. A connector without an offset starts with a snapshot of its outbox.
    Consumers recognise repeated events by their id and by the aggregate's version.
    """
    with connect_api(settings) as api:
        for connector in declared_connectors():
            api.put(f"/connectors/{connector.name}/stop").raise_for_status()
            poll(partial(_delete_offset, api, connector.name), within=TIMEOUT_SECONDS)
            api.put(f"/connectors/{connector.name}/resume").raise_for_status()
    return [f"{connector.name} takes a new snapshot of its outbox" for connector in declared_connectors()]


def _delete_offset(api: httpx.Client, name: str) -> None:
    """Connect refuses this until the task has stopped."""
    api.delete(f"/connectors/{name}/offsets").raise_for_status()


def _states(api: httpx.Client, name: str) -> list[str]:
    """The states of the connector and of its task; empty while Connect does not know the connector yet."""
    answer = api.get(f"/connectors/{name}/status")
    if answer.status_code == httpx.codes.NOT_FOUND:
        return []
    status = answer.raise_for_status().json()
    return [status["connector"]["state"], *(task["state"] for task in status["tasks"])]
