"""What the order service does for a request and for a batch of credit decisions.

Each function runs one transaction, which also holds the events that it causes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from messaging.envelope import Envelope, read_event
from messaging.errors import NotYetVisible
from services.order import domain
from services.order.domain import Order
from services.order.events import AGGREGATE, CREDIT_DECISIONS, ORDER_EVENTS, CreditDecision, OrderEvent
from services.order.ports import NewOrder, OrderRepository
from services.order.requests import CreateOrder
from services.order.waiting import Waiting
from storage.idempotency import KeyBusy, KeyExpired, KeyReused, StoredAnswer, fingerprint
from storage.outbox import OutboxRow
from storage.walk import in_batches

OVERDUE_BATCH = 500
REPUBLISH_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Placement:
    """A request to place an order.

    Attributes:
        traceparent: the trace that the request belongs to.
        key: the request's idempotency key.
    """

    command: CreateOrder
    traceparent: str | None = None
    key: str | None = None

    def new_order(self) -> NewOrder:
        command = self.command
        mark = fingerprint(command) if self.key else b""
        return NewOrder(command.customer_id, command.order_total.cents, self.key, mark)


async def create_orders(repository: OrderRepository, placements: Sequence[Placement]) -> list[int | Exception]:
    """Places pending orders, usually all of them in one transaction.

    Requests with the same key and the same command get the same order, whether they are in one group or not.

    Returns:
        For each request, in the order given, the order's id; or KeyReused if its key was used with another command, or
        KeyExpired or KeyBusy. Such an error concerns the requests with its key only.
    """
    try:
        return await _create_together(repository, placements)
    except KeyBusy:
        # Nothing of the group is stored. Apart from each other, only the requests with the busy key fail.
        return await _create_apart(repository, placements)


async def _create_apart(repository: OrderRepository, placements: Sequence[Placement]) -> list[int | Exception]:
    """Places the orders without a key in one transaction, and the orders of each key in a transaction of their own."""
    outcomes: dict[int, int | Exception] = {}
    for key in dict.fromkeys(placement.key for placement in placements):
        positions = [position for position, placement in enumerate(placements) if placement.key == key]
        try:
            placed = await _create_together(repository, [placements[position] for position in positions])
        except KeyBusy as error:
            placed = [error] * len(positions)
        outcomes.update(zip(positions, placed, strict=True))
    return [outcomes[position] for position in range(len(placements))]


async def _create_together(repository: OrderRepository, placements: Sequence[Placement]) -> list[int | Exception]:
    """Places orders in one transaction, all or none. Raises KeyBusy."""
    orders = [placement.new_order() for placement in placements]
    firsts = _first_of_each_key(orders)
    answers: dict[str, StoredAnswer] = {}
    ids: dict[int, int] = {}
    async with repository.transaction() as transaction:
        stored = await transaction.insert_orders([orders[position] for position in firsts])
        ids = {position: order_id for position, order_id in zip(firsts, stored, strict=True) if order_id is not None}
        await transaction.append([_placed(ids[position], placements[position]) for position in ids])
        if used := [key for position in firsts if position not in ids and (key := orders[position].key)]:
            answers = await transaction.stored_answers(used)
    for position, order_id in ids.items():
        if key := orders[position].key:
            answers[key] = StoredAnswer(orders[position].fingerprint, order_id)
    return [_answer(order, answers) if order.key else ids[position] for position, order in enumerate(orders)]


def _first_of_each_key(orders: Sequence[NewOrder]) -> list[int]:
    """The positions of the orders without a key, and of the first one with each key."""
    seen: set[str] = set()
    positions = []
    for position, order in enumerate(orders):
        if order.key not in seen:
            positions.append(position)
        if order.key:
            seen.add(order.key)
    return positions


def _answer(order: NewOrder, answers: dict[str, StoredAnswer]) -> int | Exception:
    stored = answers.get(order.key or "")
    if stored is None:
        return KeyExpired()
    try:
        return int(stored.to(order.fingerprint))
    except KeyReused as error:
        return error


def _placed(order_id: int, placement: Placement) -> OutboxRow:
    command = placement.command
    _, event = domain.place(order_id, command.customer_id, command.order_total.cents)
    return _row(event, placement.traceparent)


async def cancel_order(
    repository: OrderRepository, waiting: Waiting, order_id: int, traceparent: str | None
) -> Order | None:
    """Cancels an order and returns its new state; None if there is no such order.

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


async def handle_credit_decisions(repository: OrderRepository, waiting: Waiting, envelopes: Sequence[Envelope]) -> None:
    """Applies a batch of credit decisions in one transaction, and wakes the requests that wait for these orders.

    Raises:
        Undecodable: a payload is not what its type promises.
        NotYetVisible: one of the orders is not visible to this connection yet.
    """
    batch = [(read_event(envelope, CREDIT_DECISIONS), envelope.traceparent) for envelope in envelopes]
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
    repository: OrderRepository, waiting: Waiting, deadline: timedelta, batch: int = OVERDUE_BATCH
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


async def republish(repository: OrderRepository, batch: int = REPUBLISH_BATCH) -> int:
    """Sends the present state of every order again, one transaction for each batch; returns how many.

    Each is sent as the event that led to the state, with its version. A reader that has this version ignores it.
    """

    async def send_next(last_id: int) -> list[int]:
        async with repository.transaction() as transaction:
            orders = await transaction.lock_next_orders(last_id, batch)
            await transaction.append([_row(domain.present(order), None) for order in orders])
        return [order.id for order in orders]

    return await in_batches(send_next)


def _require_visible(orders: dict[int, Order], batch: Sequence[tuple[CreditDecision, str | None]]) -> None:
    unseen = sorted({decision.order_id for decision, _ in batch} - orders.keys())
    if unseen:
        raise NotYetVisible(f"no order {', '.join(map(str, unseen[:10]))} is visible")


def _row(event: OrderEvent, traceparent: str | None) -> OutboxRow:
    return OutboxRow(AGGREGATE, str(event.order_id), ORDER_EVENTS.type_of(event), event.to_json(), traceparent)
