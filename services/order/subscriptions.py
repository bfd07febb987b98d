"""What the order service subscribes to."""

from messaging.streams import DurableConsumer, subjects_of
from services.order.events import CREDIT_DECISIONS

DECISIONS_CONSUMER = DurableConsumer(name="order", subjects=subjects_of("customer", CREDIT_DECISIONS))
