"""The events that the customer service writes, and the events about orders that it reads.

Each event about a customer carries the customer's whole state: a reader needs no earlier event.
"""

from contracts.money import Money
from contracts.registry import EventRegistry
from contracts.wire import Event, Id, Version

AGGREGATE = "customer"


class CustomerCreated(Event):
    """A customer exists."""

    customer_id: Id
    name: str
    credit_limit: Money
    available_credit: Money
    version: Version


class CreditReserved(Event):
    """The order's total is reserved from the customer's credit."""

    customer_id: Id
    name: str
    credit_limit: Money
    available_credit: Money
    version: Version
    order_id: Id
    order_total: Money


class CreditLimitExceeded(Event):
    """The order's total is more than the customer's available credit."""

    customer_id: Id
    name: str
    credit_limit: Money
    available_credit: Money
    version: Version
    order_id: Id
    order_total: Money


class CustomerValidationFailed(Event):
    """The order names a customer that does not exist. The version is 0: there is no aggregate."""

    customer_id: Id
    version: Version = 0
    order_id: Id
    order_total: Money


CustomerEvent = CustomerCreated | CreditReserved | CreditLimitExceeded | CustomerValidationFailed
CUSTOMER_EVENTS = EventRegistry[CustomerEvent](
    {
        "CustomerCreated": CustomerCreated,
        "CreditReserved": CreditReserved,
        "CreditLimitExceeded": CreditLimitExceeded,
        "CustomerValidationFailed": CustomerValidationFailed,
    }
)
"""What the service writes."""


class OrderCreated(Event):
    """Read: an order was placed and asks for credit."""

    order_id: Id
    customer_id: Id
    order_total: Money


class OrderCancelled(Event):
    """Read: the order was cancelled; its credit is released."""

    order_id: Id
    customer_id: Id
    order_total: Money


class OrderRejected(Event):
    """Read: the order was rejected. If it timed out, credit may be reserved for it, or be reserved later."""

    order_id: Id
    customer_id: Id
    order_total: Money


OrderEvent = OrderCreated | OrderCancelled | OrderRejected
ORDER_EVENTS = EventRegistry[OrderEvent](
    {
        "OrderCreated": OrderCreated,
        "OrderCancelled": OrderCancelled,
        "OrderRejected": OrderRejected,
    }
)
"""What the service reads."""
