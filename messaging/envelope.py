"""The envelope of an event: the outbox row's columns come as headers, the payload as the producer wrote it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from contracts.headers import ID, PROBLEM, TRACEPARENT, TYPE
from contracts.registry import EventRegistry, UnknownType
from contracts.trace_context import valid_traceparent
from contracts.wire import Event, UnreadablePayload
from messaging.errors import Undecodable, UnknownEventType


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event's payload and metadata.

    Attributes:
        event_id: the outbox row's id (UUIDv7), the same in each redelivery and each repeat.
        type: the event type, e.g. `OrderCreated`.
        payload: JSON as the producer wrote it.
        traceparent: W3C trace context of the request that caused the event; None if it had none.
    """

    event_id: str
    type: str
    payload: bytes
    traceparent: str | None = None


def open_envelope(headers: Mapping[str, str] | None, payload: bytes) -> Envelope:
    """Reads the envelope of a JetStream message.

    Raises:
        Undecodable: a required header is missing, or the bridge could not forward the record unchanged.
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


E = TypeVar("E", bound=Event)


def read_event(envelope: Envelope, registry: EventRegistry[E]) -> E:
    """The event in an envelope.

    Raises:
        UnknownEventType: its type is not registered.
        Undecodable: its payload does not match the type.
    """
    try:
        return registry.read(envelope.type, envelope.payload)
    except UnknownType as error:
        raise UnknownEventType(str(error)) from error
    except UnreadablePayload as error:
        raise Undecodable(str(error)) from error
