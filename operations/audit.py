"""What does not fit together in a snapshot, by id.

Pure. Each check is one invariant; a finding names the thing and says what is missing, extra or different.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from operations.snapshot import Order, Snapshot, StreamMessage

DECISIONS_THAT_FIT: dict[tuple[str, str | None], frozenset[str]] = {
    ("APPROVED", None): frozenset({"RESERVED"}),
    ("REJECTED", "INSUFFICIENT_CREDIT"): frozenset({"LIMIT_EXCEEDED"}),
    ("REJECTED", "UNKNOWN_CUSTOMER"): frozenset({"UNKNOWN_CUSTOMER"}),
    # Ended by a client or the deadline, before or after the decision, whatever that was.
    ("REJECTED", "TIMED_OUT"): frozenset({"RELEASED", "LIMIT_EXCEEDED", "UNKNOWN_CUSTOMER", "CANCELLED"}),
    ("CANCELLED", None): frozenset({"RELEASED", "LIMIT_EXCEEDED", "UNKNOWN_CUSTOMER", "CANCELLED"}),
}
"""Which credit decisions agree with an order's final state and reason."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something that does not fit.

    Attributes:
        check: which invariant, as a short name.
        subject: what it is about, e.g. `order 42`.
        detail: what is wrong with it.
    """

    check: str
    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.check}: {self.subject}: {self.detail}"


def audit(snapshot: Snapshot) -> list[Finding]:
    """All findings, in a fixed order; none means that everything agrees."""
    checks = (_credit, _orders, _decisions, _view_customers, _view_orders, _sent, _forwarded, _dead_letters)
    return sorted(finding for check in checks for finding in check(snapshot))


def _credit(snapshot: Snapshot) -> Iterator[Finding]:
    reserved = Counter[int]()
    for reservation in snapshot.reservations.values():
        if reservation.state == "RESERVED":
            reserved[reservation.customer_id] += reservation.amount
    for customer_id, customer in snapshot.customers.items():
        if not 0 <= customer.reserved <= customer.credit_limit:
            detail = f"{customer.reserved} cents reserved of a limit of {customer.credit_limit}"
            yield Finding("credit limit", f"customer {customer_id}", detail)
        if customer.reserved != reserved[customer_id]:
            detail = f"{customer.reserved} cents in the customer's row, {reserved[customer_id]} in the reservations"
            yield Finding("reserved credit", f"customer {customer_id}", detail)


def _orders(snapshot: Snapshot) -> Iterator[Finding]:
    for order_id, order in snapshot.orders.items():
        if order.state == "PENDING":
            yield Finding("final", f"order {order_id}", "is PENDING")


def _decisions(snapshot: Snapshot) -> Iterator[Finding]:
    for order_id, order in snapshot.orders.items():
        reservation = snapshot.reservations.get(order_id)
        fitting = DECISIONS_THAT_FIT.get((order.state, order.reason))
        if reservation is None:
            yield Finding("decision", f"order {order_id}", f"is {_state(order)}, the customer service has no decision")
        elif fitting is not None and reservation.state not in fitting:
            yield Finding("decision", f"order {order_id}", f"is {_state(order)}, its reservation {reservation.state}")
    for order_id in snapshot.reservations.keys() - snapshot.orders.keys():
        yield Finding("decision", f"order {order_id}", "has a reservation, but there is no such order")


def _view_customers(snapshot: Snapshot) -> Iterator[Finding]:
    rows = {i: (customer.name, customer.credit_limit) for i, customer in snapshot.customers.items()}
    yield from _compare("view", "customer", rows, snapshot.view_customers)


def _view_orders(snapshot: Snapshot) -> Iterator[Finding]:
    yield from _compare("view", "order", snapshot.orders, snapshot.view_orders)


def _compare(check: str, kind: str, truth: Mapping[int, Any], view: Mapping[int, Any]) -> Iterator[Finding]:
    for key in truth.keys() | view.keys():
        if key not in view:
            yield Finding(check, f"{kind} {key}", "is missing in the view")
        elif key not in truth:
            yield Finding(check, f"{kind} {key}", "is in the view only")
        elif truth[key] != view[key]:
            yield Finding(check, f"{kind} {key}", f"is {truth[key]}, in the view {view[key]}")


def _sent(snapshot: Snapshot) -> Iterator[Finding]:
    """Every outbox row has reached the stream."""
    arrived = {message.event_id for message in snapshot.stream}
    for event_id, event in snapshot.outbox.items():
        if event_id not in arrived:
            about = f"{event.type} of {event.aggregate_type} {event.aggregate_id}"
            yield Finding(
                "sent", f"event {event_id}", f"{about} is in the outbox of {event.service}, not in the stream"
            )


def _forwarded(snapshot: Snapshot) -> Iterator[Finding]:
    """Every Kafka record stands in the stream, once and in the order of its partition.

    A repeat of an event that the stream has already may be left out. After a wiped Kafka the bridge may note the
    old topic's id on records of the new one until it looks, and then the partition is sent from its beginning.
    """
    last: dict[tuple[str, int], StreamMessage] = {}
    for message in snapshot.stream:
        place = (message.position.topic, message.position.partition)
        before = last.get(place)
        if before and before.topic_id == message.topic_id and message.position.offset <= before.position.offset:
            detail = f"stands at sequence {message.sequence}, after {before.position}"
            yield Finding("forwarded", f"record {message.position}", detail)
        last[place] = message
    current = {m.position for m in snapshot.stream if snapshot.topic_ids.get(m.position.topic) == m.topic_id}
    arrived = {message.event_id for message in snapshot.stream}
    for position, event_id in snapshot.kafka.items():
        if position not in current and event_id not in arrived:
            yield Finding("forwarded", f"record {position}", f"with event {event_id} is not in the stream")


def _dead_letters(snapshot: Snapshot) -> Iterator[Finding]:
    for consumer, number in snapshot.dead_letters.items():
        if number:
            yield Finding("dead letters", consumer, f"{number} messages could not be handled")


def _state(order: Order) -> str:
    return f"{order.state} ({order.reason})" if order.reason else order.state
