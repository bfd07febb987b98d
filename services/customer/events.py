"""The events that the customer service writes, and those that it reads of orders.

Every event about a customer carries the customer's whole state, so that a reader needs no other.
"""

from contracts.money import Money
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
    """The order's total is more than the credit that the customer has left."""

    customer_id: Id
    name: str
    credit_limit: Money
    available_credit: Money
    version: Version
    order_id: Id
    order_total: Money


class CustomerValidationFailed(Event):
    """The order names a customer that does not exist; the version is 0, for there is no aggregate."""

    customer_id: Id
    version: Version = 0
    order_id: Id
    order_total: Money


CustomerEvent = CustomerCreated | CreditReserved | CreditLimitExceeded | CustomerValidationFailed


class OrderCreated(Event):
    """Read: somebody placed an order and asks for credit."""

    order_id: Id
    customer_id: Id
    order_total: Money


class OrderCancelled(Event):
    """Read: the order is no more, and gives back whatever was reserved for it."""

    order_id: Id
    customer_id: Id
    order_total: Money


class OrderRejected(Event):
    """Read: the order did not come about; one that timed out may hold credit, or be about to get it."""

    order_id: Id
    customer_id: Id
    order_total: Money


OrderEvent = OrderCreated | OrderCancelled | OrderRejected
ORDER_EVENTS: dict[str, type[OrderEvent]] = {
    "OrderCreated": OrderCreated,
    "OrderCancelled": OrderCancelled,
    "OrderRejected": OrderRejected,
}
