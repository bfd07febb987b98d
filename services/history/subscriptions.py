"""What the history service subscribes to: the events that the view shows, and no others."""

from dataclasses import replace

from messaging.streams import DurableConsumer, subjects_of
from services.history.events import CUSTOMER_EVENTS, ORDER_EVENTS

VIEW = DurableConsumer(
    name="history",
    subjects=(*subjects_of("customer", CUSTOMER_EVENTS), *subjects_of("order", ORDER_EVENTS)),
)


def consumer_of(generation: str) -> DurableConsumer:
    """The durable consumer that fills one generation of the view."""
    return replace(VIEW, generation=generation)
