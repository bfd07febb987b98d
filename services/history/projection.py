"""What a batch of events changes in the view.

Pure. Only the newest state of each customer and order counts, so a batch folds to one change for
each of them, whatever the order and however often its events come. The view itself takes a state
only with a higher version, which makes batches insensitive to order and repetition too.
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
    """Folds events, in any order and with repeats, to the newest states that they tell of."""
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
