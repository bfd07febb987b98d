"""The events that the order service writes, and the credit decisions that it reads.

Each event about an order carries the order's whole state: a reader needs no earlier event.
"""

from typing import Literal

from contracts.money import Money
from contracts.registry import EventRegistry
from contracts.wire import Event, Id, Version

AGGREGATE = "order"


class _OrderState(Event):
    order_id: Id
    customer_id: Id
    order_total: Money
    version: Version


class OrderCreated(_OrderState):
    """An order was placed and waits for its credit decision."""

    state: Literal["PENDING"] = "PENDING"


class OrderApproved(_OrderState):
    """The credit is reserved."""

    state: Literal["APPROVED"] = "APPROVED"


class OrderRejected(_OrderState):
    """The order was refused, or waited too long for its decision."""

    state: Literal["REJECTED"] = "REJECTED"
    rejection_reason: Literal["INSUFFICIENT_CREDIT", "UNKNOWN_CUSTOMER", "TIMED_OUT"]


class OrderCancelled(_OrderState):
    """The order was cancelled; credit that is reserved for it must be released."""

    state: Literal["CANCELLED"] = "CANCELLED"


OrderEvent = OrderCreated | OrderApproved | OrderRejected | OrderCancelled
ORDER_EVENTS = EventRegistry[OrderEvent](
    {
        "OrderCreated": OrderCreated,
        "OrderApproved": OrderApproved,
        "OrderRejected": OrderRejected,
        "OrderCancelled": OrderCancelled,
    }
)
"""What the service writes."""


class CreditReserved(Event):
    """Read: the order's total is reserved."""

    order_id: Id


class CreditLimitExceeded(Event):
    """Read: the customer has not enough available credit."""

    order_id: Id


class CustomerValidationFailed(Event):
    """Read: there is no such customer."""

    order_id: Id


CreditDecision = CreditReserved | CreditLimitExceeded | CustomerValidationFailed
CREDIT_DECISIONS = EventRegistry[CreditDecision](
    {
        "CreditReserved": CreditReserved,
        "CreditLimitExceeded": CreditLimitExceeded,
        "CustomerValidationFailed": CustomerValidationFailed,
    }
)
"""What the service reads."""
