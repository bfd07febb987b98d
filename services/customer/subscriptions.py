"""What the customer service subscribes to."""

from messaging.streams import DurableConsumer, subjects_of
from services.customer.events import ORDER_EVENTS

ORDERS_CONSUMER = DurableConsumer(name="customer", subjects=subjects_of("order", ORDER_EVENTS))
