"""The whole story of one order, across all parts."""

from collections.abc import AsyncIterator
from datetime import datetime

import asyncpg

from contracts.headers import ID
from operations.sources import TOPICS, Sources, kafka_records, stream_messages
from services.history.views import ViewBeingBuilt

ORDER = """
SELECT customer_id, total_cents, state, rejection_reason, version, created_at FROM orders WHERE id = $1
"""
RESERVATION = "SELECT customer_id, amount_cents, state FROM credit_reservations WHERE order_id = $1"

# The order's own events carry its id as their key, the customer's about it in their payload. The
# transaction's id tells which of them were written together.
EVENTS_ABOUT_ORDER = """
SELECT id::text, type, created_at, xmin::text AS transaction, payload->>'version' AS version FROM outbox
WHERE payload->>'orderId' = $1::bigint::text ORDER BY id
"""


async def explain_order(sources: Sources, order_id: int) -> AsyncIterator[str]:
    """The story, line by line: states first, then each event on its way."""
    yield await _order_line(sources.orders, order_id)
    yield await _reservation_line(sources.customers, order_id)
    yield await _view_line(sources, order_id)
    events = [
        (service, row)
        for service, pool in (("order", sources.orders), ("customer", sources.customers))
        for row in await pool.fetch(EVENTS_ABOUT_ORDER, order_id)
    ]
    places = await _places(sources, {row["id"] for _, row in events})
    for service, row in sorted(events, key=lambda event: event[1]["created_at"]):
        yield ""
        yield f"{_time(row['created_at'])}  {row['type']} (version {row['version']}) by the {service} service"
        yield f"    outbox     {row['id']}, transaction {row['transaction']}"
        for place in places.get(row["id"], ["not in Kafka or the stream: on its way, or past their retention"]):
            yield f"    {place}"
    yield ""
    backlog = ", ".join(f"{name} {number}" for name, number in sorted((await sources.backlog()).items()))
    yield f"messages not acknowledged yet, by consumer: {backlog}"


async def _order_line(orders: asyncpg.Pool, order_id: int) -> str:
    row = await orders.fetchrow(ORDER, order_id)
    if row is None:
        return f"order        there is no order {order_id}"
    reason = f" ({row['rejection_reason']})" if row["rejection_reason"] else ""
    placed = f"placed {_time(row['created_at'])} by customer {row['customer_id']} for {row['total_cents'] / 100:.2f}"
    return f"order        {row['state']}{reason}, version {row['version']}, {placed}"


async def _reservation_line(customers: asyncpg.Pool, order_id: int) -> str:
    row = await customers.fetchrow(RESERVATION, order_id)
    if row is None:
        return "reservation  none: the customer service has not heard of the order"
    return f"reservation  {row['state']}, {row['amount_cents'] / 100:.2f} of customer {row['customer_id']}"


async def _view_line(sources: Sources, order_id: int) -> str:
    try:
        document = await sources.views.find_order(order_id)
    except ViewBeingBuilt:
        return "view         is being built"
    if document is None:
        return "view         the history does not show the order"
    return f"view         {document['state']}, version {document['version']}"


async def _places(sources: Sources, event_ids: set[str]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = {}
    topics = await sources.kafka.describe(TOPICS)
    async for record in kafka_records(sources.kafka, topics):
        event_id = _text(dict(record.headers).get(ID))
        if event_id in event_ids:
            line = f"Kafka      {record.topic}/{record.partition}@{record.offset}"
            places.setdefault(event_id, []).append(line)
    async for message in stream_messages(sources.nats):
        if message.event_id in event_ids:
            line = f"stream     sequence {message.sequence}, stored {_time(message.stored_at)}, from {message.position}"
            places.setdefault(message.event_id, []).append(line)
    return places


def _text(value: bytes | None) -> str:
    return (value or b"").decode()


def _time(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="milliseconds")
