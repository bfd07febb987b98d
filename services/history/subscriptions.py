"""What the history service hears: everything about customers and orders."""

from messaging.streams import DurableConsumer

EVERYTHING = DurableConsumer(name="history", subjects=("events.customer.*.*", "events.order.*.*"))
