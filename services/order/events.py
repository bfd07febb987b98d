"""The events that the order service writes, and those that it reads of credit decisions.

Every event about an order carries the order's whole state, so that a reader needs no other.
"""

from typing import Literal

from contracts.money import Money
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
    """The credit is reserved; the order stands."""

    state: Literal["APPROVED"] = "APPROVED"


class OrderRejected(_OrderState):
    """The order does not come about."""

    state: Literal["REJECTED"] = "REJECTED"
    rejection_reason: Literal["INSUFFICIENT_CREDIT", "UNKNOWN_CUSTOMER", "TIMED_OUT"]


class OrderCancelled(_OrderState):
    """The order was withdrawn; whatever was reserved for it is to be released."""

    state: Literal["CANCELLED"] = "CANCELLED"


OrderEvent = OrderCreated | OrderApproved | OrderRejected | OrderCancelled


class CreditReserved(Event):
    """Read: the order's total is reserved."""

    order_id: Id


class CreditLimitExceeded(Event):
    """Read: the customer has not got enough credit left."""

    order_id: Id


class CustomerValidationFailed(Event):
    """Read: there is no such customer."""

    order_id: Id


CreditDecision = CreditReserved | CreditLimitExceeded | CustomerValidationFailed
CREDIT_DECISIONS: dict[str, type[CreditDecision]] = {
    "CreditReserved": CreditReserved,
    "CreditLimitExceeded": CreditLimitExceeded,
    "CustomerValidationFailed": CustomerValidationFailed,
}
