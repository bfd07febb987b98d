"""What the customer service hears of orders."""

from messaging.streams import DurableConsumer

ORDERS = DurableConsumer(
    name="customer",
    subjects=("events.order.*.OrderCreated", "events.order.*.OrderCancelled", "events.order.*.OrderRejected"),
)
