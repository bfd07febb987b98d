"""Compares the parts of a snapshot, and names by id whatever does not agree.

Pure. Each check is one invariant. A finding names its subject and says what is missing, extra or different.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields

from operations.snapshot import Customer, CustomerInView, Order, Reservation, Snapshot, StreamMessage

DECISIONS_THAT_FIT: dict[tuple[str, str | None], frozenset[str]] = {
    ("APPROVED", None): frozenset({"RESERVED"}),
    ("REJECTED", "INSUFFICIENT_CREDIT"): frozenset({"LIMIT_EXCEEDED"}),
    ("REJECTED", "UNKNOWN_CUSTOMER"): frozenset({"UNKNOWN_CUSTOMER"}),
    # A timeout or a cancellation comes before or after the decision, whatever that was.
    ("REJECTED", "TIMED_OUT"): frozenset({"RELEASED", "LIMIT_EXCEEDED", "UNKNOWN_CUSTOMER", "CANCELLED"}),
    ("CANCELLED", None): frozenset({"RELEASED", "LIMIT_EXCEEDED", "UNKNOWN_CUSTOMER", "CANCELLED"}),
}
"""By an order's final state and rejection reason, the credit decisions that agree with it."""

HOLD_ALWAYS = frozenset({"credit limit", "reserved credit", "outbox", "dead letters"})
"""Checks that hold while messages are under way too: they compare what one transaction changes together."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something that does not agree.

    Attributes:
        check: the short name of the invariant.
        subject: what it is about, e.g. `order 42`.
        detail: what is wrong with it.
    """

    check: str
    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.check}: {self.subject}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Result:
    """The findings of two audits of a running system.

    Attributes:
        wrong: found twice, and no message under way can explain it.
        late: found twice while a consumer has messages to handle, which may explain it.
        in_flight: found once only.
    """

    wrong: list[Finding]
    late: list[Finding]
    in_flight: list[Finding]


def audit(snapshot: Snapshot) -> list[Finding]:
    """All findings, sorted; none if everything agrees."""
    checks = (_credit, _orders, _decisions, _outboxes, _view_customers, _view_orders, _sent, _forwarded, _dead_letters)
    return sorted(finding for check in checks for finding in check(snapshot))


def compare(first: Collection[Finding], second: Collection[Finding], *, backlog: bool) -> Result:
    """Judges the findings of two audits, the second one some seconds after the first.

    Args:
        backlog: a consumer had messages to handle at the second audit.
    """
    lasting = sorted(set(first) & set(second))
    late = [finding for finding in lasting if backlog and finding.check not in HOLD_ALWAYS]
    wrong = [finding for finding in lasting if finding not in late]
    return Result(wrong, late, sorted(set(first) ^ set(second)))


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
        if reservation is None:
            yield Finding("decision", f"order {order_id}", f"is {_state(order)}, the customer service has no decision")
        else:
            yield from _compare_decision(order_id, order, reservation)
    for order_id in snapshot.reservations.keys() - snapshot.orders.keys():
        yield Finding("decision", f"order {order_id}", "has a reservation, but there is no such order")


def _compare_decision(order_id: int, order: Order, reservation: Reservation) -> Iterator[Finding]:
    fitting = DECISIONS_THAT_FIT.get((order.state, order.reason))
    if fitting is not None and reservation.state not in fitting:
        yield Finding("decision", f"order {order_id}", f"is {_state(order)}, its reservation is {reservation.state}")
    if (order.customer_id, order.total) != (reservation.customer_id, reservation.amount):
        asked = f"{order.total} cents of customer {order.customer_id}"
        decided = f"{reservation.amount} cents of customer {reservation.customer_id}"
        yield Finding("decision", f"order {order_id}", f"asks for {asked}, its reservation is about {decided}")


def _outboxes(snapshot: Snapshot) -> Iterator[Finding]:
    """The outbox tells of every version of an order, and of no version that a row does not have.

    The retention deletes the oldest events, so the versions begin anywhere. A release of credit gives a customer a new
    version without an event, so a customer's versions may have gaps.
    """
    versions: dict[tuple[str, str], set[int]] = defaultdict(set)
    for event in snapshot.outbox.values():
        if event.version is not None:
            versions[event.aggregate_type, event.aggregate_id].add(event.version)
    rows: dict[tuple[str, str], Customer | Order] = {("order", str(i)): order for i, order in snapshot.orders.items()}
    rows |= {("customer", str(i)): customer for i, customer in snapshot.customers.items()}
    for (kind, aggregate_id), sent in versions.items():
        row = rows.get((kind, aggregate_id))
        stored = row.version if row else 0
        missing = sorted(set(range(min(sent), stored + 1)) - sent) if isinstance(row, Order) else []
        extra = sorted(version for version in sent if version > stored)
        for what, numbers in (("the outbox has no event of", missing), ("the outbox has an event of", extra)):
            if numbers:
                detail = f"has version {stored}, {what} version {', '.join(map(str, numbers))}"
                yield Finding("outbox", f"{kind} {aggregate_id}", detail)


def _view_customers(snapshot: Snapshot) -> Iterator[Finding]:
    """The view shows every customer as its newest CustomerCreated does; the events about its credit do not count."""
    newest: dict[str, int] = {}
    for event in snapshot.outbox.values():
        if event.type == "CustomerCreated" and event.version is not None:
            newest[event.aggregate_id] = max(event.version, newest.get(event.aggregate_id, 0))
    expected: dict[int, CustomerInView] = {}
    for customer_id, customer in snapshot.customers.items():
        shown = snapshot.view_customers.get(customer_id)
        # Past the outbox's retention any version fits that the customer has had.
        fitting = min(shown.version, customer.version) if shown else customer.version
        version = newest.get(str(customer_id), fitting)
        expected[customer_id] = CustomerInView(customer.name, customer.credit_limit, version)
    yield from _compare_view("customer", expected, snapshot.view_customers)


def _view_orders(snapshot: Snapshot) -> Iterator[Finding]:
    yield from _compare_view("order", snapshot.orders, snapshot.view_orders)


def _compare_view(
    kind: str, truth: Mapping[int, Order | CustomerInView], view: Mapping[int, Order | CustomerInView]
) -> Iterator[Finding]:
    for key in truth.keys() | view.keys():
        if key not in view:
            yield Finding("view", f"{kind} {key}", "is missing in the view")
        elif key not in truth:
            yield Finding("view", f"{kind} {key}", "is in the view only")
        elif truth[key] != view[key]:
            yield Finding("view", f"{kind} {key}", _differences(truth[key], view[key]))


def _differences(truth: Order | CustomerInView, view: Order | CustomerInView) -> str:
    pairs = [(field.name, getattr(truth, field.name), getattr(view, field.name)) for field in fields(truth)]
    return "; ".join(f"{name} is {here}, in the view {there}" for name, here, there in pairs if here != there)


def _sent(snapshot: Snapshot) -> Iterator[Finding]:
    """Every outbox row has reached the stream."""
    arrived = {message.event_id for message in snapshot.stream}
    for event_id, event in snapshot.outbox.items():
        if event_id not in arrived:
            about = f"{event.type} of {event.aggregate_type} {event.aggregate_id}"
            detail = f"{about} is in the outbox of {event.service}, not in the stream"
            yield Finding("sent", f"event {event_id}", detail)


def _forwarded(snapshot: Snapshot) -> Iterator[Finding]:
    """Every Kafka record is in the stream, once and in the order of its partition.

    The bridge may leave out a record whose event is in the stream already. After Kafka was wiped, the bridge may label
    records of the new topic with the old topic's id for some seconds; then it sends the partition from its beginning.
    """
    last: dict[tuple[str, int], StreamMessage] = {}
    for message in snapshot.stream:
        partition = (message.position.topic, message.position.partition)
        before = last.get(partition)
        if before and before.topic_id == message.topic_id and message.position.offset <= before.position.offset:
            detail = f"is at sequence {message.sequence}, after {before.position}"
            yield Finding("forwarded", f"record {message.position}", detail)
        last[partition] = message
    current = {m.position for m in snapshot.stream if snapshot.topic_ids.get(m.position.topic) == m.topic_id}
    arrived = {message.event_id for message in snapshot.stream}
    for position, event_id in snapshot.kafka.items():
        if position not in current and event_id not in arrived:
            yield Finding("forwarded", f"record {position}", f"with event {event_id} is not in the stream")


def _dead_letters(snapshot: Snapshot) -> Iterator[Finding]:
    for consumer, number in snapshot.dead_letters.items():
        if number:
            detail = f"{number} messages could not be handled; `./saga dead-letters list` shows them"
            yield Finding("dead letters", f"consumer {consumer}", detail)


def _state(order: Order) -> str:
    return f"{order.state} ({order.reason})" if order.reason else order.state
