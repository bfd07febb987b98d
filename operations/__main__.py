"""./saga: the operator's commands."""

import asyncio
import logging
import os
import sys
from collections.abc import Coroutine, Sized
from typing import Any, TypeVar

import click

from contracts.wire import INT64_MAX
from infra.provision.settings import SERVICES, Settings
from infra.steps import StepFailed
from operations.audit import Result, audit, compare
from operations.dead_letters import dead_letters, redeliver_all
from operations.errors import OUTAGES, CannotDo, outage
from operations.explain import explain_order
from operations.rebuild import rebuild_view
from operations.republish import republish
from operations.snapshot import Snapshot
from operations.sources import open_nats, open_sources

LOOK_AGAIN_SECONDS = 2.0

T = TypeVar("T")


@click.group()
@click.option("--name", default="main", show_default=True, help="Which stack of local processes.")
@click.pass_context
def saga(context: click.Context, name: str) -> None:
    """Looks into the running system, and repairs what does not repair itself."""
    logging.basicConfig(level=logging.ERROR)  # the commands themselves say which engine does not answer
    context.obj = _settings(name)


def _settings(name: str) -> Settings:
    """From the environment, as in the keeper's container; otherwise those of a running stack of local processes."""
    if "POSTGRES_URL" in os.environ:
        return Settings.read()
    from infra.native import Stack  # noqa: PLC0415 - needs packages that the container does not have

    try:
        stack = Stack.load(name)
    except StepFailed as error:
        raise click.ClickException(str(error)) from error
    if not stack.ports:
        raise click.ClickException(
            f'there is no stack "{name}": `make up NAME={name}` starts one, --name takes another'
        )
    if not stack.states():
        raise click.ClickException(f'the stack "{name}" is down: `make up NAME={name}` starts it')
    return Settings.read(stack.environment("keeper"))


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a command. An error that the operator can do something about is shown as one line of text."""
    try:
        return asyncio.run(work)
    except CannotDo as error:
        raise click.ClickException(str(error)) from error
    except OUTAGES as error:
        raise click.ClickException(outage(error)) from error


@saga.command("audit")
@click.pass_obj
def audit_command(settings: Settings) -> None:
    """Compares outboxes, Kafka, stream, reservations, orders and view with each other.

    Looks twice, two seconds apart. A difference that only one look finds was in flight. A difference that both find is
    late while a consumer has messages to handle, otherwise wrong. The exit code is 1 if something is wrong.
    """
    snapshot, result = _run(_audit(settings))
    for label, findings in (("WRONG", result.wrong), ("late ", result.late)):
        for finding in findings:
            click.echo(f"{label}  {finding}")
    click.echo(_summary(snapshot))
    click.echo(f"{len(result.wrong)} wrong, {len(result.late)} late, {len(result.in_flight)} in flight")
    sys.exit(1 if result.wrong else 0)


async def _audit(settings: Settings) -> tuple[Snapshot, Result]:
    async with open_sources(settings) as sources:
        snapshot = await sources.snapshot()
        first = audit(snapshot)
        if first:
            await _pause_between_looks()
            snapshot = await sources.snapshot()
        return snapshot, compare(first, audit(snapshot), backlog=any(snapshot.backlog.values()))


async def _pause_between_looks() -> None:
    await asyncio.sleep(LOOK_AGAIN_SECONDS)


def _summary(snapshot: Snapshot) -> str:
    parts: dict[str, Sized] = {
        "outbox rows": snapshot.outbox,
        "Kafka records": snapshot.kafka,
        "stream messages": snapshot.stream,
        "customers": snapshot.customers,
        "orders": snapshot.orders,
        "reservations": snapshot.reservations,
        "orders in the view": snapshot.view_orders,
    }
    backlog = ", ".join(f"{name} {number}" for name, number in sorted(snapshot.backlog.items()))
    counts = ", ".join(f"{len(part)} {name}" for name, part in parts.items())
    return f"{counts}; not acknowledged: {backlog or 'there is no consumer'}"


@saga.command("explain")
@click.argument("kind", type=click.Choice(["order"]))
@click.argument("identifier", type=click.IntRange(-INT64_MAX - 1, INT64_MAX))
@click.pass_obj
def explain_command(settings: Settings, kind: str, identifier: int) -> None:  # noqa: ARG001 - orders are the only kind
    """Shows what each part knows about one order, and its events on their way: saga explain order 42."""
    _run(_explain(settings, identifier))


async def _explain(settings: Settings, order_id: int) -> None:
    async with open_sources(settings) as sources:
        async for line in explain_order(sources, order_id):
            click.echo(line)


@saga.group("dead-letters")
def dead_letters_group() -> None:
    """The messages that a consumer could not handle."""


@dead_letters_group.command("list")
@click.pass_obj
def list_command(settings: Settings) -> None:
    """One line for each dead letter: sequence, consumer, origin, error."""
    _run(_list_dead_letters(settings))


async def _list_dead_letters(settings: Settings) -> None:
    async with open_nats(settings) as client:
        letters = [letter async for letter in dead_letters(client)]
    for letter in letters:
        click.echo(str(letter))
    if not letters:
        click.echo("there are no dead letters")


@dead_letters_group.command("redeliver")
@click.argument("sequences", type=click.IntRange(min=1), nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Redeliver all dead letters.")
@click.pass_obj
def redeliver_command(settings: Settings, sequences: tuple[int, ...], everything: bool) -> None:
    """Redelivers messages to their consumers, by the sequences that the list shows."""
    if bool(sequences) == everything:
        raise click.UsageError("name either the sequences to redeliver, or --all")
    _run(_redeliver(settings, sequences))


async def _redeliver(settings: Settings, sequences: tuple[int, ...]) -> None:
    async with open_nats(settings) as client:
        async for letter in redeliver_all(client, sequences):
            click.echo(f"redelivered: {letter}")


@saga.command("republish")
@click.argument("service", type=click.Choice([*SERVICES, "all"]), default="all")
@click.pass_obj
def republish_command(settings: Settings, service: str) -> None:
    """Sends the present state of every customer or order again, as ordinary events through the outbox.

    Fills a view that lacks states which are past the outbox's retention. Consumers ignore a state that they have.
    """
    for name in SERVICES:
        if service in {name, "all"}:
            number = _run(republish(name, settings.database_url(name)))
            click.echo(f"{name}: {number} states republished")


@saga.command("rebuild-view")
@click.pass_obj
def rebuild_view_command(settings: Settings) -> None:
    """Builds a new generation of the view from the stream, beside the live one, and waits until it is live."""
    _run(_rebuild_view(settings))


async def _rebuild_view(settings: Settings) -> None:
    async with open_sources(settings) as sources:
        async for line in rebuild_view(sources, settings):
            click.echo(line)


if __name__ == "__main__":
    saga(prog_name="saga")
