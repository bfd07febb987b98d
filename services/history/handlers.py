"""What the history service does with a batch of events: projects it and writes the changes to the view."""

from collections.abc import Sequence

from messaging.envelope import Envelope, read_event
from services.history.events import VIEW_EVENTS
from services.history.ports import Generation
from services.history.projection import project


async def handle_events(view: Generation, envelopes: Sequence[Envelope]) -> None:
    """Applies a batch of events to one generation of the view.

    Raises:
        Undecodable: a payload does not match its type.
        UnknownEventType: a newer version of this service subscribed to a type that this one does not know.
    """
    await view.apply(project([read_event(envelope, VIEW_EVENTS) for envelope in envelopes]))
