"""The events that the view shows: the state of a customer or an order, with its version."""

from contracts.money import Money
from contracts.registry import EventRegistry
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


ViewEvent = CustomerState | OrderState

# CreditReserved and CreditLimitExceeded are not here: they change the available credit, which the view does not show.
CUSTOMER_EVENTS = EventRegistry[ViewEvent]({"CustomerCreated": CustomerState})
ORDER_EVENTS = EventRegistry[ViewEvent](
    {
        "OrderCreated": OrderState,
        "OrderApproved": OrderState,
        "OrderRejected": OrderState,
        "OrderCancelled": OrderState,
    }
)
VIEW_EVENTS = EventRegistry[ViewEvent]({**CUSTOMER_EVENTS.types, **ORDER_EVENTS.types})
"""All that the view shows."""
