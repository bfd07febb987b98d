"""What each part of the system holds, read part by part.

The parts are read one after the other while the system runs, so two of them may be some
milliseconds apart; the audit looks twice before it calls a difference wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """A row of one of the outboxes."""

    service: str
    type: str
    aggregate_type: str
    aggregate_id: str


@dataclass(frozen=True, slots=True)
class KafkaPosition:
    """Where a record stands in Kafka."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}"


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """A message of the stream EVENTS, with the position that the bridge noted on it."""

    sequence: int
    event_id: str
    topic_id: str
    position: KafkaPosition
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer's row; amounts in cents."""

    name: str
    credit_limit: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """A decision's row; amount in cents."""

    customer_id: int
    amount: int
    state: str


@dataclass(frozen=True, slots=True)
class Order:
    """An order, in its service or in the view; total in cents."""

    customer_id: int
    total: int
    state: str
    reason: str | None
    version: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at about one time.

    Attributes:
        outbox: by event id.
        kafka: event id by position, of the topics as they are now.
        topic_ids: Kafka's own id of each topic as it is now.
        stream: in the order of the sequences.
        view_customers: name and credit limit in cents, by customer id.
        backlog: by consumer, how many messages it has not acknowledged yet.
        dead_letters: by consumer, how many messages it could not handle.
    """

    outbox: Mapping[str, OutboxEvent] = field(default_factory=dict)
    kafka: Mapping[KafkaPosition, str] = field(default_factory=dict)
    topic_ids: Mapping[str, str] = field(default_factory=dict)
    stream: Sequence[StreamMessage] = ()
    customers: Mapping[int, Customer] = field(default_factory=dict)
    reservations: Mapping[int, Reservation] = field(default_factory=dict)
    orders: Mapping[int, Order] = field(default_factory=dict)
    view_customers: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    view_orders: Mapping[int, Order] = field(default_factory=dict)
    backlog: Mapping[str, int] = field(default_factory=dict)
    dead_letters: Mapping[str, int] = field(default_factory=dict)
