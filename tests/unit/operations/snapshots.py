"""A snapshot whose parts agree, for the tests of the audit, and what the audit finds when a part is changed."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from operations.audit import audit
from operations.snapshot import (
    Customer,
    CustomerInView,
    KafkaPosition,
    Order,
    OutboxEvent,
    Reservation,
    Snapshot,
    StreamMessage,
)

POSITION = KafkaPosition("events.order", 1, 0)
ORDER = Order(customer_id=1, total=400, state="APPROVED", reason=None, version=2)
CUSTOMER = Customer("Jane Doe", credit_limit=500, reserved=400, version=2)
IN_VIEW = CustomerInView("Jane Doe", 500, version=1)


def message(
    sequence: int = 1, event_id: str = "e1", position: KafkaPosition = POSITION, topic_id: str = "topic-1"
) -> StreamMessage:
    return StreamMessage(sequence, event_id, topic_id, position, datetime.now(UTC))


def order_event(version: int | None, order_id: int = 7) -> OutboxEvent:
    return OutboxEvent("order", "OrderCreated", "order", str(order_id), version)


def customer_event(version: int, event_type: str = "CustomerCreated", customer_id: int = 1) -> OutboxEvent:
    return OutboxEvent("customer", event_type, "customer", str(customer_id), version)


def outbox(*events: OutboxEvent) -> dict[str, Any]:
    """The outbox with these events, all of them in the stream."""
    rows = {f"e{number}": event for number, event in enumerate(events)}
    positions = {event_id: KafkaPosition("events.order", 1, number) for number, event_id in enumerate(rows)}
    stream = [message(n, event_id, position) for n, (event_id, position) in enumerate(positions.items(), 1)]
    return {"outbox": rows, "stream": stream, "kafka": {position: event_id for event_id, position in positions.items()}}


AGREEING = Snapshot(
    **outbox(customer_event(1), order_event(1), customer_event(2, "CreditReserved"), order_event(2)),
    topic_ids={"events.order": "topic-1"},
    customers={1: CUSTOMER},
    reservations={7: Reservation(1, 400, "RESERVED")},
    orders={7: ORDER},
    view_customers={1: IN_VIEW},
    view_orders={7: ORDER},
    dead_letters={"customer": 0},
)


def found(**changes: Any) -> list[str]:
    """The findings, as the operator reads them, if these parts of the agreeing snapshot are changed."""
    return [str(finding) for finding in audit(replace(AGREEING, **changes))]
