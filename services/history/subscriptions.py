"""What the history service hears: everything about customers and orders."""

from dataclasses import replace

from messaging.streams import DurableConsumer

EVERYTHING = DurableConsumer(name="history", subjects=("events.customer.*.*", "events.order.*.*"))


def place_of(generation: str) -> DurableConsumer:
    """The place in the stream of one generation of the view."""
    return replace(EVERYTHING, generation=generation)
