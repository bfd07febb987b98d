"""./saga: the operator's commands."""

import asyncio
import os
import sys
from collections.abc import Sized

import click

from infra.provision.settings import Settings
from messaging.connection import connect
from operations.audit import Finding, audit
from operations.dead_letters import dead_letters, send_again
from operations.explain import explain_order
from operations.rebuild import CannotRebuild, rebuild_view
from operations.republish import republish
from operations.snapshot import Snapshot
from operations.sources import open_sources

LOOK_AGAIN_SECONDS = 2.0


@click.group()
@click.option("--name", default="main", show_default=True, help="Which stack of local processes.")
@click.pass_context
def saga(context: click.Context, name: str) -> None:
    """Looks into the running system, and mends what has to be mended by hand."""
    context.obj = _settings(name)


def _settings(name: str) -> Settings:
    """The environment's own settings, as in the keeper's container, or those of a stack of local processes."""
    if "POSTGRES_URL" in os.environ:
        return Settings.read()
    from infra.native import Stack  # noqa: PLC0415 - needs packages that the container has not got

    stack = Stack.load(name)
    if not stack.ports:
        raise click.ClickException(
            f'there is no stack "{name}": `make up NAME={name}` starts one, --name takes another'
        )
    return Settings.read(stack.environment("keeper"))


@saga.command("audit")
@click.pass_obj
def audit_command(settings: Settings) -> None:
    """Holds outboxes, Kafka, stream, reservations, orders and view against each other.

    Looks twice: what is gone at the second look was in flight. The exit code is 1 if something is wrong.
    """
    snapshot, findings, in_flight = asyncio.run(_audit(settings))
    late = findings if any(snapshot.backlog.values()) else []
    for finding in findings:
        click.echo(f"{'late ' if late else 'WRONG'}  {finding}")
    click.echo(_summary(snapshot))
    click.echo(f"{len(findings) - len(late)} wrong, {len(late)} late, {len(in_flight)} in flight")
    sys.exit(1 if len(findings) > len(late) else 0)


async def _audit(settings: Settings) -> tuple[Snapshot, list[Finding], list[Finding]]:
    async with open_sources(settings) as sources:
        first = audit(await sources.snapshot())
        if first:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        snapshot = await sources.snapshot()
        second = set(audit(snapshot))
        lasting = [finding for finding in first if finding in second]
        return snapshot, lasting, sorted(second.symmetric_difference(first))


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
    return ", ".join(f"{len(part)} {name}" for name, part in parts.items()) + f"; not acknowledged: {backlog}"


@saga.command("explain")
@click.argument("kind", type=click.Choice(["order"]))
@click.argument("identifier", type=int)
@click.pass_obj
def explain_command(settings: Settings, kind: str, identifier: int) -> None:  # noqa: ARG001 - there is one kind so far
    """Tells the whole story of one order: saga explain order 42."""
    asyncio.run(_explain(settings, identifier))


async def _explain(settings: Settings, order_id: int) -> None:
    async with open_sources(settings) as sources:
        async for line in explain_order(sources, order_id):
            click.echo(line)


@saga.group("dead-letters")
def dead_letters_group() -> None:
    """The messages that a consumer could not handle."""


@dead_letters_group.command("list")
@click.pass_obj
def list_dead_letters(settings: Settings) -> None:
    """One line each: sequence, consumer, origin, error."""
    asyncio.run(_each_dead_letter(settings, (), again=False))


@dead_letters_group.command("resend")
@click.argument("sequences", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.pass_obj
def resend_dead_letters(settings: Settings, sequences: tuple[int, ...], everything: bool) -> None:
    """Hands messages to their consumers again, by their sequence in the list."""
    if not sequences and not everything:
        raise click.UsageError("name the sequences to send again, or --all")
    asyncio.run(_each_dead_letter(settings, sequences, again=True))


async def _each_dead_letter(settings: Settings, sequences: tuple[int, ...], *, again: bool) -> None:
    client = await connect(settings.nats_url, settings.nats_token.get_secret_value(), "operations")
    try:
        async for letter in dead_letters(client):
            if not sequences or letter.sequence in sequences:
                if again:
                    await send_again(client, letter)
                click.echo(f"{'sent again: ' if again else ''}{letter}")
    finally:
        await client.close()


@saga.command("republish")
@click.argument("service", type=click.Choice(["customer", "order", "all"]), default="all")
@click.pass_obj
def republish_command(settings: Settings, service: str) -> None:
    """Sends the present state of every customer or order again, as ordinary events through the outbox.

    Rebuilds any view, also beyond the outbox's retention; whoever knows the state already takes no notice.
    """
    for name in ("customer", "order"):
        if service in {name, "all"}:
            number = asyncio.run(republish(name, settings.database_url(name)))
            click.echo(f"{name}: {number} states sent again")


@saga.command("rebuild-view")
@click.pass_obj
def rebuild_view_command(settings: Settings) -> None:
    """Builds the view anew from the stream, beside the live one, and waits until it has taken its place."""
    asyncio.run(_rebuild_view(settings))


async def _rebuild_view(settings: Settings) -> None:
    async with open_sources(settings) as sources:
        try:
            async for line in rebuild_view(sources, settings):
                click.echo(line)
        except CannotRebuild as error:
            raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    saga()
