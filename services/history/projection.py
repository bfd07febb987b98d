"""Folds a batch of events to its changes of the view.

Pure. Only the newest state of each customer and order counts. So a batch folds to one change for each of them, in any
order and with any repeats. The view itself accepts only a higher version, so the order of batches does not matter
either.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from services.history.events import CustomerState, OrderState, ViewEvent


@dataclass(slots=True)
class Changes:
    """The newest states in a batch, by id."""

    customers: dict[int, CustomerState] = field(default_factory=dict)
    orders: dict[int, OrderState] = field(default_factory=dict)


def project(events: Iterable[ViewEvent]) -> Changes:
    """The newest state of each customer and order in these events."""
    changes = Changes()
    for event in events:
        match event:
            case CustomerState():
                known = changes.customers.get(event.customer_id)
                if known is None or event.version > known.version:
                    changes.customers[event.customer_id] = event
            case OrderState():
                seen = changes.orders.get(event.order_id)
                if seen is None or event.version > seen.version:
                    changes.orders[event.order_id] = event
    return changes
