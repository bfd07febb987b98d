"""The life of an order: PENDING -> APPROVED | REJECTED | CANCELLED, APPROVED -> CANCELLED.

Pure functions: they take an order and what happened to it, and return the new order and its event. A transition that
the present state does not allow is not made, so a repeated or late decision changes nothing.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from contracts.money import Money
from services.order.events import (
    CreditDecision,
    CreditLimitExceeded,
    CreditReserved,
    CustomerValidationFailed,
    OrderApproved,
    OrderCancelled,
    OrderCreated,
    OrderEvent,
    OrderRejected,
)


class OrderState(StrEnum):
    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"


class RejectionReason(StrEnum):
    INSUFFICIENT_CREDIT = "INSUFFICIENT_CREDIT"
    UNKNOWN_CUSTOMER = "UNKNOWN_CUSTOMER"
    TIMED_OUT = "TIMED_OUT"


@dataclass(frozen=True, slots=True)
class Order:
    """An order; `total` in cents, `version` counts its states."""

    id: int
    customer_id: int
    total: int
    state: OrderState = OrderState.PENDING
    rejection_reason: RejectionReason | None = None
    version: int = 1

    @property
    def is_pending(self) -> bool:
        return self.state is OrderState.PENDING


class NotCancellable(Exception):
    """The order was rejected, so there is nothing to cancel."""


Change = tuple[Order, OrderEvent]
"""The new state of an order, and the event that describes it."""


def place(order_id: int, customer_id: int, total: int) -> Change:
    """A new order, PENDING until the customer service has decided on its credit; `total` in cents."""
    order = Order(order_id, customer_id, total)
    return order, present(order)


def present(order: Order) -> OrderEvent:
    """The event that led to the order's present state."""
    match order.state:
        case OrderState.PENDING:
            return OrderCreated(**_state(order))
        case OrderState.APPROVED:
            return OrderApproved(**_state(order))
        case OrderState.CANCELLED:
            return OrderCancelled(**_state(order))
        case OrderState.REJECTED:
            assert order.rejection_reason is not None
            return OrderRejected(**_state(order), rejection_reason=order.rejection_reason.value)


def settle(order: Order, decision: CreditDecision) -> Change | None:
    """Applies a credit decision to an order; None if the order is not PENDING any more.

    An order that was cancelled meanwhile stays CANCELLED: its cancellation releases the credit.
    """
    if not order.is_pending:
        return None
    match decision:
        case CreditReserved():
            return _change(order, OrderState.APPROVED)
        case CreditLimitExceeded():
            return _reject(order, RejectionReason.INSUFFICIENT_CREDIT)
        case CustomerValidationFailed():
            return _reject(order, RejectionReason.UNKNOWN_CUSTOMER)


def cancel(order: Order) -> Change | None:
    """Cancels a pending or approved order; None if it is CANCELLED already.

    Raises:
        NotCancellable: the order was rejected.
    """
    if order.state is OrderState.REJECTED:
        raise NotCancellable(f"order {order.id} was rejected and cannot be cancelled")
    if order.state is OrderState.CANCELLED:
        return None
    return _change(order, OrderState.CANCELLED)


def time_out(order: Order) -> Change | None:
    """Rejects an order that was PENDING for too long; None if it is not PENDING any more.

    The customer service releases its credit when it receives the event, also credit that it reserves later.
    """
    return _reject(order, RejectionReason.TIMED_OUT) if order.is_pending else None


def _reject(order: Order, reason: RejectionReason) -> Change:
    return _change(order, OrderState.REJECTED, reason)


def _change(order: Order, state: OrderState, reason: RejectionReason | None = None) -> Change:
    changed = replace(order, state=state, rejection_reason=reason, version=order.version + 1)
    return changed, present(changed)


def _state(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.id,
        "customer_id": order.customer_id,
        "order_total": Money.of(order.total),
        "version": order.version,
    }
