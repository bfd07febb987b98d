"""./saga while an engine is away: the command ends with one line that names the engine and says what to do."""

import pytest

from infra.native import Stack
from tests.drivers import System, stopped
from tests.e2e.operator import Operator

EXPLAIN = ("explain", "order", "ORDER")
"""ORDER stands for the id of an order that exists."""

COMMANDS_THAT_NEED = {
    "postgres": ("PostgreSQL", [("audit",), EXPLAIN, ("republish",), ("rebuild-view",)]),
    "kafka": ("Kafka", [("audit",), EXPLAIN]),
    "mongo": ("MongoDB", [("audit",), EXPLAIN, ("rebuild-view",)]),
    "nats": (
        "NATS",
        [("audit",), ("rebuild-view",), ("dead-letters", "list"), ("dead-letters", "redeliver", "--all")],
    ),
}
"""By component, its engine's name and the commands that cannot do without it."""


@pytest.mark.parametrize("component", COMMANDS_THAT_NEED)
def test_a_command_without_an_engine_that_it_needs_names_the_engine_and_what_to_do(
    stack: Stack, system: System, component: str
) -> None:
    engine, commands = COMMANDS_THAT_NEED[component]
    order = str(system.orders.place(system.customers.create()))
    with stopped(stack, component):
        outputs = {command: _output(stack, command, order) for command in commands}
    stack.wait_ready()
    for command, output in outputs.items():
        error = output.splitlines()[-1]  # explain shows what it has found until then
        assert error.startswith(f"Error: {engine} does not answer ("), (command, output)
        assert error.endswith("`make status` shows what runs, `make up` starts what does not"), (command, output)


def _output(stack: Stack, command: tuple[str, ...], order: str) -> str:
    return Operator(stack).fail(*(order if argument == "ORDER" else argument for argument in command))
