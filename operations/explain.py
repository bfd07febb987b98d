"""What each part of the system knows about one order."""

from collections.abc import AsyncIterator
from datetime import datetime

import asyncpg

from contracts.headers import ID
from operations.errors import UnknownOrder
from operations.sources import TOPICS, Sources, kafka_records, stream_messages
from services.history.views import ViewBeingBuilt

ORDER = """
SELECT customer_id, total_cents, state, rejection_reason, version, created_at FROM orders WHERE id = $1
"""
RESERVATION = "SELECT customer_id, amount_cents, state FROM credit_reservations WHERE order_id = $1"

# Events about the order have its id in their payload, whichever service writes them. Events with the same transaction
# were written together.
EVENTS_ABOUT_ORDER = """
SELECT id::text, type, created_at, xmin::text AS transaction, payload->>'version' AS version FROM outbox
WHERE payload->>'orderId' = $1::bigint::text ORDER BY id
"""


async def explain_order(sources: Sources, order_id: int) -> AsyncIterator[str]:
    """The order's present states, then each of its events with its positions in outbox, Kafka and stream; in lines.

    Raises:
        UnknownOrder: no part of the system has heard of the order.
    """
    lines = [
        await _order_line(sources.orders, order_id),
        await _reservation_line(sources.customers, order_id),
        await _view_line(sources, order_id),
    ]
    events = [
        (service, row)
        for service, pool in (("order", sources.orders), ("customer", sources.customers))
        for row in await pool.fetch(EVENTS_ABOUT_ORDER, order_id)
    ]
    if not events and not any(known for _, known in lines):
        raise UnknownOrder(order_id)
    for line, _ in lines:
        yield line
    positions = await _positions(sources, {row["id"] for _, row in events})
    for service, row in sorted(events, key=lambda event: event[1]["created_at"]):
        yield ""
        yield f"{_time(row['created_at'])}  {row['type']} (version {row['version']}) by the {service} service"
        yield f"    outbox     {row['id']}, transaction {row['transaction']}"
        for position in positions.get(row["id"], ["not in Kafka or the stream: on its way, or past their retention"]):
            yield f"    {position}"
    yield ""
    backlog = ", ".join(f"{name} {number}" for name, number in sorted((await sources.backlog()).items()))
    yield f"messages that are not acknowledged yet, by consumer: {backlog or 'there is no consumer'}"


async def _order_line(orders: asyncpg.Pool, order_id: int) -> tuple[str, bool]:
    """The line, and whether there is such an order; the same for the other parts."""
    row = await orders.fetchrow(ORDER, order_id)
    if row is None:
        return f"order        there is no order {order_id}", False
    reason = f" ({row['rejection_reason']})" if row["rejection_reason"] else ""
    placed = f"placed {_time(row['created_at'])} by customer {row['customer_id']} for {row['total_cents'] / 100:.2f}"
    return f"order        {row['state']}{reason}, version {row['version']}, {placed}", True


async def _reservation_line(customers: asyncpg.Pool, order_id: int) -> tuple[str, bool]:
    row = await customers.fetchrow(RESERVATION, order_id)
    if row is None:
        return "reservation  none: the customer service has not heard of the order", False
    return f"reservation  {row['state']}, {row['amount_cents'] / 100:.2f} of customer {row['customer_id']}", True


async def _view_line(sources: Sources, order_id: int) -> tuple[str, bool]:
    try:
        document = await sources.views.find_order(order_id)
    except ViewBeingBuilt:
        return "view         is being built", False
    if document is None:
        return "view         does not show the order", False
    return f"view         {document['state']}, version {document['version']}", True


async def _positions(sources: Sources, event_ids: set[str]) -> dict[str, list[str]]:
    """By event id, a line for each Kafka record and each stream message of the event."""
    positions: dict[str, list[str]] = {}
    topics = await sources.kafka.describe(TOPICS)
    async for record in kafka_records(sources.kafka, topics):
        event_id = _text(dict(record.headers).get(ID))
        if event_id in event_ids:
            line = f"Kafka      {record.topic}/{record.partition}@{record.offset}"
            positions.setdefault(event_id, []).append(line)
    async for message in stream_messages(sources.nats):
        if message.event_id in event_ids:
            line = f"stream     sequence {message.sequence}, stored {_time(message.stored_at)}, from {message.position}"
            positions.setdefault(message.event_id, []).append(line)
    return positions


def _text(value: bytes | None) -> str:
    return (value or b"").decode()


def _time(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="milliseconds")
