"""One event as it travels: the outbox row's columns as headers, the payload as it was written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from messaging.errors import Undecodable

# Written by Debezium's EventRouter from the outbox row's columns.
ID = "id"
TYPE = "type"
TRACEPARENT = "traceparent"
CREATED_AT = "created_at"

# Added by the bridge. The position of a partition is read back from these.
MESSAGE_ID = "Nats-Msg-Id"
KAFKA_TOPIC = "Kafka-Topic"
KAFKA_TOPIC_ID = "Kafka-Topic-Id"
KAFKA_PARTITION = "Kafka-Partition"
KAFKA_OFFSET = "Kafka-Offset"
PROBLEM = "Bridge-Problem"
"""In place of what the stream cannot take of a record: why."""

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event with what is known of it besides its payload.

    Attributes:
        event_id: the outbox row's id (UUIDv7), the same in every redelivery and repeat.
        type: the event type, e.g. `OrderCreated`; decides how the payload is read.
        payload: JSON as the producer wrote it.
        traceparent: W3C trace context of the request that caused the event, if it had one.
    """

    event_id: str
    type: str
    payload: bytes
    traceparent: str | None = None


def open_envelope(headers: Mapping[str, str] | None, payload: bytes) -> Envelope:
    """Reads the envelope of a JetStream message.

    Raises:
        Undecodable: a header that every event has is missing, or the bridge could not pass the event on as it was.
    """
    headers = headers or {}
    if PROBLEM in headers:
        raise Undecodable(headers[PROBLEM])
    missing = [name for name in (ID, TYPE) if not headers.get(name)]
    if missing:
        raise Undecodable(f"the message has no header {' and no header '.join(missing)}")
    return Envelope(
        event_id=headers[ID],
        type=headers[TYPE],
        payload=payload,
        traceparent=valid_traceparent(headers.get(TRACEPARENT)),
    )


def valid_traceparent(value: str | None) -> str | None:
    """The value if it is a W3C `traceparent`, else None (a broken one is dropped, as the standard says)."""
    return value if value is not None and _TRACEPARENT.fullmatch(value) else None
