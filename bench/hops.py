"""Hops: where the time of an order goes, from timestamps that the system stores anyway.

Each event has three of them: `created_at` of its outbox row (set inside of the transaction), the time at which Kafka
appended its record (whole milliseconds), and the time at which JetStream stored its message. All components run on one
machine, so all timestamps come from one clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.kafka_log import EndOffsets, KafkaLog
from bench.rig import Rig
from operations.sources import stream_messages

HOPS = (
    "request to row",
    "commit and WAL to Kafka",
    "bridge",
    "stream to credit decision",
    "commit and WAL to Kafka, second round",
    "bridge, second round",
    "stream to approval",
    "commit and answer",
)
"""In the order of time: from the moment at which the POST was due until the client sees APPROVED. Each hop begins where
the one before it ends, so they add up to the latency."""

ORDER_EVENTS = """
SELECT id::text, type, aggregateid::bigint AS order_id, extract(epoch FROM created_at)::float8 AS at FROM outbox
WHERE id >= $1::uuid AND aggregatetype = 'order' AND type IN ('OrderCreated', 'OrderApproved')
"""

CREDIT_EVENTS = """
SELECT id::text, type, (payload->>'orderId')::bigint AS order_id, extract(epoch FROM created_at)::float8 AS at
FROM outbox WHERE id >= $1::uuid AND type = 'CreditReserved'
"""


@dataclass(frozen=True, slots=True)
class EventTimes:
    """When an event was written to the outbox, appended by Kafka, and stored in the stream; epoch seconds."""

    outbox: float
    kafka: float
    stream: float


@dataclass(frozen=True, slots=True)
class StartPosition:
    """The ends of Kafka's topics and of the stream before the measured orders, and that moment (epoch seconds)."""

    at: float
    kafka: EndOffsets
    sequence: int


Events = Mapping[tuple[int, str], EventTimes]
"""By order id and event type."""


async def start_position(rig: Rig, log: KafkaLog, now: float) -> StartPosition:
    return StartPosition(now, await log.end_offsets(), await rig.stream_end())


async def event_times_since(rig: Rig, log: KafkaLog, begin: StartPosition) -> Events:
    """The times of the events about orders that reached the stream since `begin`."""
    oldest = _first_uuid7(begin.at)
    rows = [*await rig.orders.fetch(ORDER_EVENTS, oldest), *await rig.customers.fetch(CREDIT_EVENTS, oldest)]
    kafka = await log.append_times_since(begin.kafka)
    stored = {m.event_id: m.stored_at.timestamp() async for m in stream_messages(rig.nats, begin.sequence + 1)}
    return {
        (row["order_id"], row["type"]): EventTimes(row["at"], kafka[row["id"]], stored[row["id"]])
        for row in rows
        if row["id"] in kafka and row["id"] in stored
    }


def hop_times(events: Events, order_id: int, due: float, approved: float) -> dict[str, float] | None:
    """The milliseconds of each hop of an approved order; None if the times of one of its events are missing.

    Args:
        due: when the POST was due, epoch seconds.
        approved: when the client saw the order APPROVED, epoch seconds.
    """
    created, reserved, settled = (
        events.get((order_id, kind)) for kind in ("OrderCreated", "CreditReserved", "OrderApproved")
    )
    if created is None or reserved is None or settled is None:
        return None
    moments = [due]
    for event in (created, reserved):
        moments += [event.outbox, event.kafka, event.stream]
    moments += [settled.outbox, approved]
    return {hop: (end - begin) * 1000 for hop, (begin, end) in zip(HOPS, pairwise(moments), strict=True)}


def mean_hop_times(orders: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each hop. Unlike percentiles, the means of the hops add up to the mean latency.

    Raises:
        ValueError: there are no orders.
    """
    if not orders:
        raise ValueError("no order has all of its events in the outboxes, Kafka and the stream")
    return {hop: sum(times[hop] for times in orders) / len(orders) for hop in HOPS}


def _first_uuid7(at: float) -> str:
    """A lower bound of the UUIDv7 made since `at` (epoch seconds): their first 48 bits are epoch milliseconds."""
    digits = f"{int(at * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"
