"""No representation and no error of the infrastructure shows a password."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import credentials
from infra.native import engines
from infra.native.components import Blueprint
from infra.native.layout import Layout
from infra.native.ports import USUAL
from infra.native.postgres import PostgresRunner
from infra.native.supervision import Supervisor
from infra.provision import connectors
from infra.provision.settings import Settings

PASSWORD = "sOnlyForThisTest"


@pytest.fixture
def blueprint(tmp_path: Path) -> Blueprint:
    layout = Layout(tmp_path)
    postgres = PostgresRunner("self", engines.postgres_folder(), layout.data / "postgres")
    return Blueprint(layout, USUAL, dict.fromkeys(credentials.NAMES, PASSWORD), postgres)


class RefusesAll(http.server.BaseHTTPRequestHandler):
    """Answers 401 to everything, as a server does that knows another password."""

    def do_GET(self) -> None:
        self.send_error(401)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_arguments: object) -> None:
        """Prints nothing."""


@pytest.fixture
def refusing_port() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), RefusesAll) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def shown(error: BaseException) -> str:
    """All texts that a traceback of the error could show."""
    chain = [error, error.__cause__, error.__context__]
    return " ".join(f"{part} {part!r}" for part in chain)


def test_the_settings_do_not_show_a_password(blueprint: Blueprint) -> None:
    settings = Settings.read(blueprint.provisioning())
    assert settings.connect_password.get_secret_value() == PASSWORD
    assert PASSWORD not in f"{settings} {settings!r}"


def test_a_component_and_the_blueprint_of_a_stack_do_not_show_a_password(blueprint: Blueprint) -> None:
    assert PASSWORD in str([component.environment for component in blueprint.components()])
    assert PASSWORD not in f"{blueprint!r} {blueprint.components()!r}"


def test_an_error_of_the_supervisor_does_not_show_its_password(tmp_path: Path, refusing_port: int) -> None:
    with pytest.raises(Exception, match="401") as raised:
        Supervisor(Layout(tmp_path), refusing_port, PASSWORD).states()
    assert PASSWORD not in shown(raised.value)


def test_an_error_of_connects_rest_api_does_not_show_its_password(blueprint: Blueprint, refusing_port: int) -> None:
    environment = blueprint.provisioning() | {"CONNECT_URL": f"http://127.0.0.1:{refusing_port}"}
    with pytest.raises(Exception, match="401") as raised:
        connectors.reconcile(Settings.read(environment))
    assert PASSWORD not in shown(raised.value)


def test_a_setting_of_another_type_is_named_without_its_value(
    blueprint: Blueprint, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        Settings.read(blueprint.provisioning() | {"KEEPER_INTERVAL_SECONDS": PASSWORD})
    errors = capsys.readouterr().err
    assert "KEEPER_INTERVAL_SECONDS" in errors
    assert PASSWORD not in errors


def test_the_processes_of_a_stack_have_no_password_in_their_command(blueprint: Blueprint) -> None:
    assert PASSWORD not in str([component.command for component in blueprint.components()])
