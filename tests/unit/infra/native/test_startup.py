"""Each component is started after the servers that it needs, and the flow of an event is proved last."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra import credentials
from infra.native.components import COMPONENTS, SERVICES, Blueprint
from infra.native.layout import Layout
from infra.native.ports import USUAL
from infra.native.postgres import PostgresRunner
from infra.native.startup import Startup
from infra.provision import connectors
from infra.provision import postgres as postgres_provision
from infra.provision.settings import Settings
from infra.steps import Step

NEEDS = {
    "customer": {"postgres", "nats"},
    "order": {"postgres", "nats"},
    "history": {"mongo", "nats"},
    "bridge": {"kafka", "nats"},
    "connect": {"kafka"},
    "connectors": {"postgres", "kafka", "connect"},
    "keeper": {"postgres", "kafka", "connect", "connectors"},
}


def _steps(tmp_path: Path, supervisor: Any = None) -> list[Step]:
    layout = Layout(tmp_path)
    postgres = PostgresRunner("self", Path("/programs"), layout.data / "postgres")
    return Startup(Blueprint(layout, USUAL, credentials.ensure(layout.secrets), postgres, {}), supervisor).steps()


def _before(tmp_path: Path) -> dict[str, set[str]]:
    """By step, all steps that are done before it begins."""
    before: dict[str, set[str]] = {}
    for step in _steps(tmp_path):  # a step stands after those that it names
        before[step.name] = {name for earlier in step.after for name in (earlier, *before[earlier])}
    return before


def test_every_component_has_a_step_and_each_begins_after_the_servers_that_it_needs(tmp_path: Path) -> None:
    before = _before(tmp_path)
    assert before.keys() >= set(COMPONENTS)
    assert {name: needs - before[name] for name, needs in NEEDS.items() if needs - before[name]} == {}


def test_the_flow_of_an_event_is_proved_when_all_that_it_passes_runs(tmp_path: Path) -> None:
    assert _before(tmp_path)["event flow"] >= {"connectors", *SERVICES}


def test_lost_slots_are_dropped_before_the_start_waits_for_the_connectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The keeper, which drops them too, starts only after the connectors.
    done: list[str] = []

    async def drop(_settings: Settings) -> list[str]:
        done.append("lost slots dropped")
        return []

    monkeypatch.setattr(postgres_provision, "drop_lost_slots", drop)
    monkeypatch.setattr(connectors, "reconcile", lambda _: done.append("connectors reconciled"))
    monkeypatch.setattr(connectors, "check_running", lambda _: None)
    supervisor: Any = SimpleNamespace(states=lambda: {"connect": SimpleNamespace(pid=1)})
    [step] = [step for step in _steps(tmp_path, supervisor) if step.name == "connectors"]
    step.work()
    assert done == ["lost slots dropped", "connectors reconciled"]
