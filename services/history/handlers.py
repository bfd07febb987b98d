"""What the history service does with a batch of events: projects it, and writes what that changes."""

from collections.abc import Sequence

from contracts.wire import UnreadablePayload
from messaging.envelope import Envelope
from messaging.errors import Undecodable
from services.history.events import VIEW_EVENTS, ViewEvent
from services.history.projection import project
from services.history.views import Generation


async def handle_events(view: Generation, envelopes: Sequence[Envelope]) -> None:
    """Brings one generation of the view up to a batch of events.

    Raises:
        Undecodable: a payload is not what its type promises, or the type is unknown.
    """
    await view.apply(project([_read(envelope) for envelope in envelopes]))


def _read(envelope: Envelope) -> ViewEvent:
    try:
        return VIEW_EVENTS[envelope.type].from_json(envelope.payload)
    except KeyError as error:
        raise Undecodable(f"{envelope.type} is not an event type that this service knows") from error
    except UnreadablePayload as error:
        raise Undecodable(str(error)) from error
