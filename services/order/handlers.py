"""What the order service does: for a request, and for a batch of credit decisions.

Each runs in one transaction, together with the events that it causes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from contracts.wire import UnreadablePayload
from messaging.envelope import Envelope
from messaging.errors import NotYetVisible, Undecodable
from messaging.outbox import OutboxRow
from services.order import domain
from services.order.domain import Order
from services.order.events import AGGREGATE, CREDIT_DECISIONS, CreditDecision, OrderEvent
from services.order.repository import Repository, Transaction
from services.order.requests import CreateOrder
from services.order.waiting import Waiting

OVERDUE_BATCH = 500
REPUBLISH_BATCH = 1_000
FIRST_ID = -(2**63)
"""Below every id."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A request to place an order, and the trace that it belongs to."""

    command: CreateOrder
    traceparent: str | None


async def create_order(
    repository: Repository, command: CreateOrder, idempotency_key: str | None, traceparent: str | None
) -> int:
    """Places a pending order and returns its id; the same key and command return the first one's.

    Raises:
        web.problems.Problem: the key was used with another command.
    """
    async with repository.transaction() as transaction:
        if idempotency_key:
            first = await transaction.claim(idempotency_key, command)
            if first is not None:
                return int(first)
        [order_id] = await _insert_orders(transaction, [Placement(command, traceparent)])
        if idempotency_key:
            await transaction.keep(idempotency_key, order_id)
        return order_id


async def create_orders(repository: Repository, placements: Sequence[Placement]) -> list[int]:
    """Places pending orders, all or none, and returns their ids in the order given."""
    async with repository.transaction() as transaction:
        return await _insert_orders(transaction, placements)


async def cancel_order(
    repository: Repository, waiting: Waiting, order_id: int, traceparent: str | None
) -> Order | None:
    """Cancels an order and returns it as it is then; None if there is no such order.

    Raises:
        domain.NotCancellable: the order was rejected.
    """
    async with repository.transaction() as transaction:
        order = (await transaction.lock_orders([order_id])).get(order_id)
        if order is None:
            return None
        change = domain.cancel(order)
        if change is None:
            return order
        cancelled, event = change
        await transaction.store_orders([cancelled])
        await transaction.append([_row(event, traceparent)])
    waiting.announce([cancelled])
    return cancelled


async def handle_credit_decisions(repository: Repository, waiting: Waiting, envelopes: Sequence[Envelope]) -> None:
    """Settles a batch of orders, in one transaction, and wakes whoever waits for them.

    Raises:
        Undecodable: a payload is not what its type promises.
        NotYetVisible: one of the orders is not seen by this connection.
    """
    batch = [(_read(envelope), envelope.traceparent) for envelope in envelopes]
    changed: dict[int, Order] = {}
    rows: list[OutboxRow] = []
    async with repository.transaction() as transaction:
        orders = await transaction.lock_orders({decision.order_id for decision, _ in batch})
        _require_visible(orders, batch)
        for decision, traceparent in batch:
            change = domain.settle(orders[decision.order_id], decision)
            if change is not None:
                order, event = change
                orders[order.id] = changed[order.id] = order
                rows.append(_row(event, traceparent))
        if changed:
            await transaction.store_orders(changed.values())
            await transaction.append(rows)
    waiting.announce(changed.values())


async def reject_overdue_orders(
    repository: Repository, waiting: Waiting, deadline: timedelta, batch: int = OVERDUE_BATCH
) -> int:
    """Rejects orders that are PENDING for longer than the deadline, `batch` at most, and returns how many."""
    async with repository.transaction() as transaction:
        overdue = await transaction.lock_overdue_orders(deadline, batch)
        changes = [change for order in overdue if (change := domain.time_out(order))]
        if changes:
            await transaction.store_orders([order for order, _ in changes])
            await transaction.append([_row(event, None) for _, event in changes])
    waiting.announce(order for order, _ in changes)
    return len(changes)


async def republish(repository: Repository, batch: int = REPUBLISH_BATCH) -> int:
    """Sends the present state of every order again, a batch a transaction; returns how many.

    As the event that led to the state, with its version: who knows it already takes no notice.
    """
    total, last_id = 0, FIRST_ID
    while True:
        async with repository.transaction() as transaction:
            orders = await transaction.lock_next_orders(last_id, batch)
            await transaction.append([_row(domain.present(order), None) for order in orders])
        total += len(orders)
        if len(orders) < batch:
            return total
        last_id = orders[-1].id


async def _insert_orders(transaction: Transaction, placements: Sequence[Placement]) -> list[int]:
    wanted = [(placement.command.customer_id, placement.command.order_total.cents) for placement in placements]
    orders = await transaction.insert_orders(wanted)
    traces = (placement.traceparent for placement in placements)
    await transaction.append([_row(domain.present(order), trace) for order, trace in zip(orders, traces, strict=True)])
    return [order.id for order in orders]


def _require_visible(orders: dict[int, Order], batch: Sequence[tuple[CreditDecision, str | None]]) -> None:
    unseen = sorted({decision.order_id for decision, _ in batch} - orders.keys())
    if unseen:
        raise NotYetVisible(f"no order {', '.join(map(str, unseen[:10]))} is visible")


def _read(envelope: Envelope) -> CreditDecision:
    try:
        return CREDIT_DECISIONS[envelope.type].from_json(envelope.payload)
    except KeyError as error:
        raise Undecodable(f"{envelope.type} is not an event type that this service knows") from error
    except UnreadablePayload as error:
        raise Undecodable(str(error)) from error


def _row(event: OrderEvent, traceparent: str | None) -> OutboxRow:
    return OutboxRow(AGGREGATE, str(event.order_id), type(event).__name__, event.to_json(), traceparent)
