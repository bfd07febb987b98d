"""What the order service hears of credit decisions."""

from messaging.streams import DurableConsumer

CREDIT_DECISIONS = DurableConsumer(
    name="order",
    subjects=(
        "events.customer.*.CreditReserved",
        "events.customer.*.CreditLimitExceeded",
        "events.customer.*.CustomerValidationFailed",
    ),
)
