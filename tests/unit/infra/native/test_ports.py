"""A component gets its usual port if it is free, otherwise another; it keeps it, and never takes one in use."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.native import ports
from infra.native.ports import PUBLIC, USUAL, PortPlan, choose
from infra.steps import StepFailed

DEFAULT = PortPlan(default_stack=True, settings={})
NAMED = PortPlan(default_stack=False, settings={})


@pytest.fixture
def held_port() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def all_free(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """A machine on which every port is free but those that a test adds."""
    held: set[int] = set()
    monkeypatch.setattr(ports, "is_free", lambda port: port not in held)
    return held


@pytest.mark.usefixtures("all_free")
def test_the_default_stack_takes_the_usual_ports() -> None:
    assert choose(DEFAULT, remembered={}, running=(), taken=()) == USUAL


def test_an_engine_moves_when_its_usual_port_is_taken(all_free: set[int]) -> None:
    all_free.update({5432, 5433})
    assert choose(DEFAULT, remembered={}, running=(), taken=())["postgres"] == 5434


@pytest.mark.usefixtures("all_free")
def test_ports_are_remembered() -> None:
    remembered = {**USUAL, "postgres": 6000}
    assert choose(DEFAULT, remembered, running=(), taken=())["postgres"] == 6000


def test_a_remembered_port_that_is_in_use_is_replaced(all_free: set[int]) -> None:
    all_free.add(6000)
    assert choose(DEFAULT, {**USUAL, "postgres": 6000}, running=(), taken=())["postgres"] == 5432


def test_a_running_component_keeps_its_port(all_free: set[int]) -> None:
    all_free.update(USUAL.values())
    assert choose(DEFAULT, USUAL, running=USUAL, taken=()) == USUAL


@pytest.mark.usefixtures("all_free")
def test_ports_of_other_stacks_are_avoided_even_while_those_are_down() -> None:
    chosen = choose(NAMED, remembered={}, running=(), taken=USUAL.values())
    assert not set(chosen.values()) & set(USUAL.values())


@pytest.mark.usefixtures("all_free")
def test_no_two_components_share_a_port() -> None:
    chosen = choose(NAMED, remembered={}, running=(), taken=())
    assert len(set(chosen.values())) == len(chosen)


@pytest.mark.usefixtures("all_free")
def test_a_named_stack_does_not_take_the_default_service_ports() -> None:
    chosen = choose(NAMED, remembered={}, running=(), taken=())
    assert not {chosen[name] for name in PUBLIC} & {USUAL[name] for name in PUBLIC}


@pytest.mark.parametrize("component", PUBLIC)
def test_an_error_about_a_service_port_in_use_names_the_port_and_its_setting(
    component: str, all_free: set[int]
) -> None:
    all_free.add(USUAL[component])
    with pytest.raises(StepFailed, match=rf"port {USUAL[component]}.*{PUBLIC[component]}="):
        choose(DEFAULT, remembered={}, running=(), taken=())


@pytest.mark.usefixtures("all_free")
def test_a_setting_chooses_a_service_port_in_any_stack() -> None:
    settings = {"ORDER_PORT": "9999"}
    for plan in (PortPlan(True, settings), PortPlan(False, settings)):
        assert choose(plan, remembered={}, running=(), taken=())["order"] == 9999


@pytest.mark.parametrize("text", ["eighty", "0", "65536", "-1", "8 1", "٨"])
def test_a_setting_that_is_no_port_number_is_refused(text: str) -> None:
    with pytest.raises(StepFailed, match="ORDER_PORT"):
        PortPlan(True, {"ORDER_PORT": text}).fixed("order")


def test_a_port_that_a_program_listens_on_is_not_free(held_port: int) -> None:
    assert not ports.is_free(held_port)


def test_the_ports_of_several_stacks_are_read_from_their_files(tmp_path: Path) -> None:
    for name, number in (("main", 5432), ("other", 5433)):
        ports.remember(tmp_path / name, {"postgres": number})
    assert ports.remembered_in([tmp_path / "main", tmp_path / "other", tmp_path / "never-up"]) == {5432, 5433}
