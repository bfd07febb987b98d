"""Where the time of an order goes, from times that the system keeps anyway.

Each event's outbox row has `created_at` (when the row was written, inside of its transaction), its Kafka record the
time of its append (whole milliseconds), its JetStream message the time at which it was stored. All parts run on one
machine, so all read the same clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.kafka_log import Ends, KafkaLog
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
"""One after the other from the moment at which the POST was due to APPROVED observed; they add up to the whole."""

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
    """When an event was written into the outbox, taken by Kafka, and stored in the stream; epoch seconds."""

    row: float
    kafka: float
    stream: float


@dataclass(frozen=True, slots=True)
class Origin:
    """Where Kafka and the stream ended before the orders that are looked at, and when that was (epoch seconds)."""

    at: float
    kafka: Ends
    sequence: int


Events = Mapping[tuple[int, str], EventTimes]
"""By order id and event type."""


async def origin(rig: Rig, log: KafkaLog, now: float) -> Origin:
    return Origin(now, await log.ends(), await rig.stream_end())


async def events_since(rig: Rig, log: KafkaLog, begin: Origin) -> Events:
    """The times of all events about orders that have reached the stream since then."""
    oldest = _first_uuid7(begin.at)
    rows = [*await rig.orders.fetch(ORDER_EVENTS, oldest), *await rig.customers.fetch(CREDIT_EVENTS, oldest)]
    kafka = await log.taken_since(begin.kafka)
    stored = {m.event_id: m.stored_at.timestamp() async for m in stream_messages(rig.nats, begin.sequence + 1)}
    return {
        (row["order_id"], row["type"]): EventTimes(row["at"], kafka[row["id"]], stored[row["id"]])
        for row in rows
        if row["id"] in kafka and row["id"] in stored
    }


def split(events: Events, order_id: int, due: float, approved: float) -> dict[str, float] | None:
    """Milliseconds of each hop of an approved order; None if not all of its events were found.

    Args:
        due: when its POST was to be sent, epoch seconds.
        approved: when its client saw it APPROVED.
    """
    created, reserved, settled = (
        events.get((order_id, kind)) for kind in ("OrderCreated", "CreditReserved", "OrderApproved")
    )
    if created is None or reserved is None or settled is None:
        return None
    moments = [due]
    for event in (created, reserved):
        moments += [event.row, event.kafka, event.stream]
    moments += [settled.row, approved]
    return {hop: (end - begin) * 1000 for hop, (begin, end) in zip(HOPS, pairwise(moments), strict=True)}


def means(splits: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each hop: unlike percentiles, means of the hops add up to the mean of the whole.

    Raises:
        ValueError: there are no orders to take a mean of.
    """
    if not splits:
        raise ValueError("of no order all events were found in outboxes, Kafka and stream")
    return {hop: sum(one[hop] for one in splits) / len(splits) for hop in HOPS}


def _first_uuid7(at: float) -> str:
    """A lower bound of all UUIDv7 made since then: the first 48 bits are milliseconds of the epoch."""
    digits = f"{int(at * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"
