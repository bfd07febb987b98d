"""Each component is started after the servers that it needs, and the flow of an event is proved last."""

from pathlib import Path
from typing import Any

from infra import credentials
from infra.native.components import COMPONENTS, SERVICES, Blueprint
from infra.native.layout import Layout
from infra.native.ports import USUAL
from infra.native.postgres import PostgresRunner
from infra.native.startup import Startup

NEEDS = {
    "customer": {"postgres", "nats"},
    "order": {"postgres", "nats"},
    "history": {"mongo", "nats"},
    "bridge": {"kafka", "nats"},
    "connect": {"kafka"},
    "connectors": {"postgres", "kafka", "connect"},
    "keeper": {"postgres", "kafka", "connect", "connectors"},
}


def _before(tmp_path: Path) -> dict[str, set[str]]:
    """By step, all steps that are done before it begins."""
    layout = Layout(tmp_path)
    postgres = PostgresRunner("self", Path("/programs"), layout.data / "postgres")
    supervisor: Any = None
    steps = Startup(Blueprint(layout, USUAL, credentials.ensure(layout.secrets), postgres, {}), supervisor).steps()
    before: dict[str, set[str]] = {}
    for step in steps:  # a step stands after those that it names
        before[step.name] = {name for earlier in step.after for name in (earlier, *before[earlier])}
    return before


def test_every_component_has_a_step_and_each_begins_after_the_servers_that_it_needs(tmp_path: Path) -> None:
    before = _before(tmp_path)
    assert before.keys() >= set(COMPONENTS)
    assert {name: needs - before[name] for name, needs in NEEDS.items() if needs - before[name]} == {}


def test_the_flow_of_an_event_is_proved_when_all_that_it_passes_runs(tmp_path: Path) -> None:
    assert _before(tmp_path)["event flow"] >= {"connectors", *SERVICES}
