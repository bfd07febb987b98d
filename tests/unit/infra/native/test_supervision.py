"""The supervisor's configuration says exactly what a process gets."""

import configparser
import shlex
from pathlib import Path

import pytest

from infra.native.components import Component
from infra.native.layout import Layout
from infra.native.supervision import MARKER, environment_of_supervisor, render

FOLDER = Path("/srv/50% off")


@pytest.fixture
def component() -> Component:
    return Component(
        "order", ["python", "-m", "a b", "100%"], {"URL": "http://x/?a=1,b", "RATE": "50%"}, FOLDER, "INT", 7
    )


def parsed(component: Component) -> configparser.RawConfigParser:
    config = configparser.RawConfigParser()
    config.read_string(render(Layout(FOLDER / "a stack"), [component], 9001, "password"))
    return config


def test_a_command_keeps_its_words(component: Component) -> None:
    command = parsed(component)["program:order"]["command"]
    assert shlex.split(command.replace("%%", "%")) == list(component.command)


def test_values_with_commas_and_percent_signs_survive(component: Component) -> None:
    assert parsed(component)["program:order"]["environment"] == 'RATE="50%%",URL="http://x/?a=1,b"'


def test_a_process_that_dies_is_started_again_and_never_given_up(component: Component) -> None:
    program = parsed(component)["program:order"]
    assert program["autorestart"] == "true"
    assert program["startretries"] == "1000000"


def test_a_process_is_stopped_in_its_own_way(component: Component) -> None:
    program = parsed(component)["program:order"]
    assert (program["stopsignal"], program["stopwaitsecs"]) == ("INT", "7")


def test_a_process_is_asked_to_stop_alone_and_killed_with_its_children(component: Component) -> None:
    # A child, such as PostgreSQL under `unshare`, would keep its port and its data. PostgreSQL's own children must not
    # be stopped beside it.
    program = parsed(component)["program:order"]
    assert (program["stopasgroup"], program["killasgroup"]) == ("false", "true")


def test_logs_have_a_bound(component: Component) -> None:
    config = parsed(component)
    for section, prefix in (("program:order", "stdout_logfile"), ("supervisord", "logfile")):
        assert int(config[section][f"{prefix}_maxbytes"]) > 0
        assert int(config[section][f"{prefix}_backups"]) > 0


def test_the_supervisor_listens_on_this_machine_only_and_wants_a_password(component: Component) -> None:
    server = parsed(component)["inet_http_server"]
    assert server["port"] == "127.0.0.1:9001"
    assert server["password"] == "password"


def test_nothing_of_the_callers_environment_leaks_into_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "somebody else's")
    environment = environment_of_supervisor(Layout(FOLDER))
    assert "DATABASE_URL" not in environment
    assert environment[MARKER] == str(FOLDER)
