"""The transactional outbox: an event leaves a service as a row, written by the transaction that causes it.

Debezium reads the rows from the write-ahead log; this module never publishes. The rows stay for the retention: if the
replication slot or Kafka is lost, Debezium sends them again from a snapshot of the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

INSERT_ROWS = """
INSERT INTO outbox (aggregatetype, aggregateid, type, payload, traceparent)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::json[], $5::text[])
"""

# Keys are UUIDv7: the primary key is in the order of time, so it finds the oldest rows without a second index.
DELETE_EXPIRED = """
DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE created_at < now() - $1::interval ORDER BY id LIMIT $2
)
"""

CLEANING_BATCH = 5_000


class OutboxOutsideTransaction(Exception):
    """An event was appended outside of a transaction: a programming error."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One event to be sent.

    Attributes:
        aggregate_type: names the Kafka topic, `events.<aggregate_type>`.
        aggregate_id: the Kafka key; events of one aggregate keep their order.
        type: the event type, e.g. `OrderCreated`.
        payload: JSON.
        traceparent: W3C trace context of the cause.
    """

    aggregate_type: str
    aggregate_id: str
    type: str
    payload: bytes
    traceparent: str | None = None


async def append(connection: "asyncpg.pool.PoolConnectionProxy", rows: Sequence[OutboxRow]) -> None:
    """Adds events to the caller's transaction, in the order given.

    Raises:
        OutboxOutsideTransaction: the connection is not in a transaction. The event could be committed without the
            change that it describes, or the change without its event.
    """
    if not connection.is_in_transaction():
        raise OutboxOutsideTransaction("append to the outbox inside of the transaction that causes the event")
    if not rows:
        return
    await connection.execute(
        INSERT_ROWS,
        [row.aggregate_type for row in rows],
        [row.aggregate_id for row in rows],
        [row.type for row in rows],
        [row.payload.decode() for row in rows],
        [row.traceparent for row in rows],
    )


async def delete_expired(pool: asyncpg.Pool, retention: timedelta, batch: int = CLEANING_BATCH) -> int:
    """Deletes rows older than the retention, `batch` at most, and returns how many."""
    status = await pool.execute(DELETE_EXPIRED, retention, batch)
    return int(status.removeprefix("DELETE "))
