"""How the processes of a stack are started and stopped, and where they listen."""

from pathlib import Path

import pytest

from infra import credentials
from infra.native.components import COMPONENTS, ENGINES, SERVICES, STOP_STAGES, Blueprint, Component
from infra.native.layout import Layout
from infra.native.ports import USUAL
from infra.native.postgres import PostgresRunner

SETTINGS = {
    "LOG_LEVEL": "DEBUG",
    "OUTBOX_RETENTION_SECONDS": "60",
    "IDEMPOTENCY_RETENTION_SECONDS": "61",
    "ORDER_DEADLINE_SECONDS": "62",
    "ATTEMPTS_UNSEEN": "63",
}

LISTENING = ("HTTP_HOST", "KAFKA_LISTEN_HOST", "CONNECT_LISTEN_HOST")


@pytest.fixture
def components(tmp_path: Path) -> dict[str, Component]:
    layout = Layout(tmp_path)
    postgres = PostgresRunner("self", Path("/programs"), layout.data / "postgres")
    blueprint = Blueprint(layout, USUAL, credentials.ensure(layout.secrets), postgres, {**SETTINGS, "PATH": "/bin"})
    return {component.name: component for component in blueprint.components()}


def test_clients_are_stopped_before_their_servers() -> None:
    order = {name: number for number, stage in enumerate(STOP_STAGES) for name in stage}
    assert order.keys() == set(COMPONENTS)
    for client in (*SERVICES, "keeper"):
        assert all(order[client] < order[engine] for engine in ENGINES)
    assert order["connect"] < order["kafka"]
    assert order["connect"] < order["postgres"]


def test_postgres_is_stopped_by_the_signal_that_does_not_wait_for_its_clients(components: dict[str, Component]) -> None:
    signals = {name: component.stop_signal for name, component in components.items()}
    assert signals == {**dict.fromkeys(COMPONENTS, "TERM"), "postgres": "INT"}


def test_every_engine_gets_the_time_that_it_needs_to_write_its_data(components: dict[str, Component]) -> None:
    seconds = {name: component.stop_seconds for name, component in components.items()}
    assert all(seconds[name] >= 30 for name in ("postgres", "mongo", "kafka"))
    assert all(number >= 15 for number in seconds.values())


def test_every_process_listens_on_this_machine_only(components: dict[str, Component]) -> None:
    hosts = [
        component.environment[name]
        for component in components.values()
        for name in LISTENING
        if name in component.environment
    ]
    assert hosts == ["127.0.0.1"] * 6
    assert "listen_addresses=127.0.0.1" in components["postgres"].command
    assert "unix_socket_directories=" in components["postgres"].command
    for name, option in (("nats", "--addr"), ("mongo", "--bind_ip")):
        command = list(components[name].command)
        assert command[command.index(option) + 1] == "127.0.0.1"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_gets_the_settings_of_the_caller_and_nothing_else_of_its_environment(
    components: dict[str, Component], service: str
) -> None:
    environment = components[service].environment
    assert SETTINGS.items() <= environment.items()
    assert "PATH" not in environment


def test_no_secret_is_shown_by_a_component(components: dict[str, Component]) -> None:
    secrets = [
        value
        for component in components.values()
        for name, value in component.environment.items()
        if "PASSWORD" in name
    ]
    assert secrets
    assert not any(secret in repr(component) for secret in secrets for component in components.values())
