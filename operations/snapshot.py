"""What each part of the system holds.

Each database is read in one transaction. The parts are read one after the other while the system runs, so two parts may
be some milliseconds apart; the audit looks twice before it calls a difference wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """A row of one of the outboxes.

    Attributes:
        version: of the aggregate, as the payload says; None if the payload has none.
    """

    service: str
    type: str
    aggregate_type: str
    aggregate_id: str
    version: int | None


@dataclass(frozen=True, slots=True)
class KafkaPosition:
    """The position of a record in Kafka."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}"


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """A message of the stream EVENTS, with the Kafka position in its headers."""

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
    version: int


@dataclass(frozen=True, slots=True)
class CustomerInView:
    """What the view shows of a customer; the limit in cents."""

    name: str
    credit_limit: int
    version: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """The row of a credit decision; amount in cents."""

    customer_id: int
    amount: int
    state: str


@dataclass(frozen=True, slots=True)
class Order:
    """An order, as its service or as the view has it; total in cents."""

    customer_id: int
    total: int
    state: str
    reason: str | None
    version: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All parts at about one time.

    Attributes:
        outbox: by event id, the rows of both outboxes.
        kafka: by position, the event id of each record in the present topics.
        topic_ids: by topic, the id that Kafka gave to the present topic of this name.
        stream: the messages, by ascending sequence.
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
    view_customers: Mapping[int, CustomerInView] = field(default_factory=dict)
    view_orders: Mapping[int, Order] = field(default_factory=dict)
    backlog: Mapping[str, int] = field(default_factory=dict)
    dead_letters: Mapping[str, int] = field(default_factory=dict)
