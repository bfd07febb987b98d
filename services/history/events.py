"""What the history service reads of the others' events: the state of a customer or an order, with its version."""

from contracts.money import Money
from contracts.wire import Event, Id, Version


class CustomerState(Event):
    """The part of CustomerCreated that the view shows."""

    customer_id: Id
    name: str
    credit_limit: Money
    version: Version


class OrderState(Event):
    """The part of any event about an order that the view shows."""

    order_id: Id
    customer_id: Id
    order_total: Money
    state: str
    rejection_reason: str | None = None
    version: Version


class Nothing(Event):
    """An event that changes nothing that the view shows."""


ViewEvent = CustomerState | OrderState | Nothing
VIEW_EVENTS: dict[str, type[ViewEvent]] = {
    "CustomerCreated": CustomerState,
    # A decision changes a customer's available credit, which the view does not show.
    "CreditReserved": Nothing,
    "CreditLimitExceeded": Nothing,
    "CustomerValidationFailed": Nothing,
    "OrderCreated": OrderState,
    "OrderApproved": OrderState,
    "OrderRejected": OrderState,
    "OrderCancelled": OrderState,
}
