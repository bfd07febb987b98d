"""Credit decisions: one for each order.

Pure functions: they take states and an event, and return new states and at most one event. The handlers load the states
under a lock and store the new ones, in one transaction.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from contracts.money import Money
from services.customer.events import (
    CreditLimitExceeded,
    CreditReserved,
    CustomerCreated,
    CustomerEvent,
    CustomerValidationFailed,
    OrderCancelled,
    OrderCreated,
    OrderEvent,
    OrderRejected,
)


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer and its reserved credit; amounts in cents, `0 <= reserved <= credit_limit`."""

    id: int
    name: str
    credit_limit: int
    reserved: int = 0
    version: int = 1

    @property
    def available(self) -> int:
        return self.credit_limit - self.reserved


class ReservationState(StrEnum):
    """The decision about an order. It is final, except that RESERVED may become RELEASED."""

    RESERVED = "RESERVED"
    RELEASED = "RELEASED"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    UNKNOWN_CUSTOMER = "UNKNOWN_CUSTOMER"
    CANCELLED = "CANCELLED"
    """A tombstone: the event of the order's end arrived before OrderCreated. The order gets no credit."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """The credit decision for one order; amount in cents."""

    order_id: int
    customer_id: int
    amount: int
    state: ReservationState


@dataclass(frozen=True, slots=True)
class Outcome:
    """What must be stored and sent; None where nothing changes."""

    customer: Customer | None = None
    reservation: Reservation | None = None
    event: CustomerEvent | None = None


NOTHING = Outcome()


def decide(event: OrderEvent, customer: Customer | None, reservation: Reservation | None) -> Outcome:
    """Applies an event about an order to its customer's credit.

    Args:
        event: what happened to the order.
        customer: the customer that the event names; None if there is no such customer.
        reservation: the earlier decision about the order; None if there is none.
    """
    match event:
        case OrderCreated():
            return _reserve(event, customer, reservation)
        case OrderCancelled() | OrderRejected():
            return _release(event, customer, reservation)


def created(customer: Customer) -> CustomerCreated:
    """The event of a new customer."""
    return CustomerCreated(
        customer_id=customer.id,
        name=customer.name,
        credit_limit=Money.of(customer.credit_limit),
        available_credit=Money.of(customer.available),
        version=customer.version,
    )


def _reserve(order: OrderCreated, customer: Customer | None, reservation: Reservation | None) -> Outcome:
    if reservation is not None:
        return NOTHING  # decided and sent before, or cancelled before OrderCreated arrived
    total = order.order_total.cents
    if customer is None:
        failed = CustomerValidationFailed(
            customer_id=order.customer_id, order_id=order.order_id, order_total=order.order_total
        )
        return Outcome(None, _decision(order, ReservationState.UNKNOWN_CUSTOMER), failed)
    if total > customer.available:
        refused = replace(customer, version=customer.version + 1)
        return Outcome(
            refused,
            _decision(order, ReservationState.LIMIT_EXCEEDED),
            _about(CreditLimitExceeded, refused, order),
        )
    charged = replace(customer, reserved=customer.reserved + total, version=customer.version + 1)
    return Outcome(charged, _decision(order, ReservationState.RESERVED), _about(CreditReserved, charged, order))


def _release(
    order: OrderCancelled | OrderRejected, customer: Customer | None, reservation: Reservation | None
) -> Outcome:
    if reservation is None:
        return Outcome(reservation=_decision(order, ReservationState.CANCELLED))
    if reservation.state is not ReservationState.RESERVED:
        return NOTHING
    # The reservation's customer exists: customers are never deleted.
    assert customer is not None
    credited = replace(customer, reserved=customer.reserved - reservation.amount, version=customer.version + 1)
    return Outcome(credited, replace(reservation, state=ReservationState.RELEASED))


def _decision(order: OrderEvent, state: ReservationState) -> Reservation:
    return Reservation(order.order_id, order.customer_id, order.order_total.cents, state)


def _about(
    kind: type[CreditReserved] | type[CreditLimitExceeded], customer: Customer, order: OrderCreated
) -> CustomerEvent:
    return kind(
        customer_id=customer.id,
        name=customer.name,
        credit_limit=Money.of(customer.credit_limit),
        available_credit=Money.of(customer.available),
        version=customer.version,
        order_id=order.order_id,
        order_total=order.order_total,
    )
