"""Domain objects and events with everything filled in, so that a test names only what it is about.

Amounts are cents. Events are of the classes that their writers use; what readers make of them is
read from the JSON, as in production.
"""

from uuid import uuid4

from contracts.money import Money
from contracts.wire import Event
from messaging.envelope import Envelope
from services.bridge.translate import Record
from services.customer.domain import Customer, Reservation, ReservationState
from services.customer.events import CreditLimitExceeded, CreditReserved, CustomerCreated, CustomerValidationFailed
from services.order.domain import Order, OrderState, RejectionReason
from services.order.events import OrderApproved, OrderCancelled, OrderCreated, OrderRejected

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def traceparent(number: int) -> str:
    """A trace of its own for each number."""
    return f"00-{number:032x}-{number:016x}-01"


def customer(limit: int = 10_000, reserved: int = 0, version: int = 1, customer_id: int = 7) -> Customer:
    return Customer(customer_id, "Jane Doe", limit, reserved, version)


def reservation(
    state: ReservationState = ReservationState.RESERVED, amount: int = 1_234, order_id: int = 42, customer_id: int = 7
) -> Reservation:
    return Reservation(order_id, customer_id, amount, state)


def order(
    state: OrderState = OrderState.PENDING,
    version: int = 1,
    total: int = 1_234,
    order_id: int = 42,
    customer_id: int = 7,
) -> Order:
    reason = RejectionReason.INSUFFICIENT_CREDIT if state is OrderState.REJECTED else None
    return Order(order_id, customer_id, total, state, reason, version)


def order_created(order_id: int = 42, customer_id: int = 7, total: int = 1_234) -> OrderCreated:
    return OrderCreated(order_id=order_id, customer_id=customer_id, order_total=Money.of(total), version=1)


def order_approved(order_id: int = 42, customer_id: int = 7, total: int = 1_234, version: int = 2) -> OrderApproved:
    return OrderApproved(order_id=order_id, customer_id=customer_id, order_total=Money.of(total), version=version)


def order_rejected(order_id: int = 42, customer_id: int = 7, total: int = 1_234, version: int = 2) -> OrderRejected:
    return OrderRejected(
        order_id=order_id,
        customer_id=customer_id,
        order_total=Money.of(total),
        version=version,
        rejection_reason="INSUFFICIENT_CREDIT",
    )


def order_cancelled(order_id: int = 42, customer_id: int = 7, total: int = 1_234, version: int = 2) -> OrderCancelled:
    return OrderCancelled(order_id=order_id, customer_id=customer_id, order_total=Money.of(total), version=version)


def customer_created(customer_id: int = 7, limit: int = 10_000, name: str = "Jane Doe") -> CustomerCreated:
    return CustomerCreated(
        customer_id=customer_id,
        name=name,
        credit_limit=Money.of(limit),
        available_credit=Money.of(limit),
        version=1,
    )


def credit_reserved(
    order_id: int = 42, customer_id: int = 7, total: int = 1_234, limit: int = 10_000, version: int = 2
) -> CreditReserved:
    return CreditReserved(
        customer_id=customer_id,
        name="Jane Doe",
        credit_limit=Money.of(limit),
        available_credit=Money.of(limit - total),
        version=version,
        order_id=order_id,
        order_total=Money.of(total),
    )


def credit_limit_exceeded(
    order_id: int = 42, customer_id: int = 7, total: int = 1_234, limit: int = 1_000, version: int = 2
) -> CreditLimitExceeded:
    return CreditLimitExceeded(
        customer_id=customer_id,
        name="Jane Doe",
        credit_limit=Money.of(limit),
        available_credit=Money.of(limit),
        version=version,
        order_id=order_id,
        order_total=Money.of(total),
    )


def customer_validation_failed(
    order_id: int = 42, customer_id: int = 8, total: int = 1_234
) -> CustomerValidationFailed:
    return CustomerValidationFailed(customer_id=customer_id, order_id=order_id, order_total=Money.of(total))


def envelope(event: Event, traceparent: str | None = None) -> Envelope:
    """The event as it arrives, under a new event id."""
    return Envelope(str(uuid4()), type(event).__name__, event.to_json(), traceparent)


def record(
    value: bytes = b"{}",
    event_type: str | None = "OrderCreated",
    event_id: str | None = "0190a1b2-0000-7000-8000-000000000001",
    topic: str = "events.order",
    partition: int = 3,
    offset: int = 12,
    topic_id: str = "topic-1",
) -> Record:
    """A Kafka record with the headers that Debezium's EventRouter writes."""
    headers = {
        "id": event_id,
        "type": event_type,
        "traceparent": None,
        "created_at": "2026-01-02T03:04:05.678Z",
    }
    encoded = [(name, text.encode() if text is not None else None) for name, text in headers.items()]
    return Record(topic, topic_id, partition, offset, value, encoded)
