"""The transitions of an order, those that are made and those that are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.order.domain import NotCancellable, Order, OrderState, RejectionReason, cancel, present, settle, time_out
from services.order.events import (
    CreditDecision,
    CreditLimitExceeded,
    CreditReserved,
    CustomerValidationFailed,
    OrderApproved,
    OrderCancelled,
    OrderCreated,
    OrderRejected,
)
from tests import builders

RESERVED = CreditReserved(order_id=42)
EXCEEDED = CreditLimitExceeded(order_id=42)
UNKNOWN = CustomerValidationFailed(order_id=42)
DECISIONS: list[CreditDecision] = [RESERVED, EXCEEDED, UNKNOWN]

FINAL = [state for state in OrderState if state is not OrderState.PENDING]


def test_a_new_order_is_pending_and_told_of_with_its_whole_state() -> None:
    event = present(builders.order())
    assert isinstance(event, OrderCreated)
    assert (event.order_id, event.customer_id, event.order_total.cents, event.state) == (42, 7, 1_234, "PENDING")


@pytest.mark.parametrize("state", OrderState)
def test_the_present_state_is_told_by_the_event_that_led_to_it(state: OrderState) -> None:
    event = present(builders.order(state, version=5))
    assert (event.state, event.version) == (state.value, 5)
    assert type(event).__name__ == ("OrderCreated" if state is OrderState.PENDING else f"Order{state.title()}")


def test_reserved_credit_approves_a_pending_order() -> None:
    change = settle(builders.order(), RESERVED)
    assert change == (builders.order(OrderState.APPROVED, version=2), builders.order_approved())
    assert isinstance(change[1], OrderApproved)


@pytest.mark.parametrize(
    ("decision", "reason"),
    [(EXCEEDED, RejectionReason.INSUFFICIENT_CREDIT), (UNKNOWN, RejectionReason.UNKNOWN_CUSTOMER)],
)
def test_refused_credit_rejects_a_pending_order_with_the_reason(
    decision: CreditDecision, reason: RejectionReason
) -> None:
    change = settle(builders.order(), decision)
    assert change is not None
    order, event = change
    assert (order.state, order.rejection_reason, order.version) == (OrderState.REJECTED, reason, 2)
    assert isinstance(event, OrderRejected)
    assert (event.rejection_reason, event.version) == (reason.value, 2)


@pytest.mark.parametrize("state", FINAL)
@pytest.mark.parametrize("decision", DECISIONS)
def test_a_decision_changes_nothing_of_an_order_that_is_final(state: OrderState, decision: CreditDecision) -> None:
    assert settle(builders.order(state, version=2), decision) is None


@pytest.mark.parametrize("state", [OrderState.PENDING, OrderState.APPROVED])
def test_a_pending_or_approved_order_can_be_cancelled(state: OrderState) -> None:
    change = cancel(builders.order(state, version=2))
    assert change == (builders.order(OrderState.CANCELLED, version=3), builders.order_cancelled(version=3))
    assert isinstance(change[1], OrderCancelled)


def test_cancelling_a_cancelled_order_changes_nothing() -> None:
    assert cancel(builders.order(OrderState.CANCELLED, version=3)) is None


def test_a_rejected_order_cannot_be_cancelled() -> None:
    with pytest.raises(NotCancellable, match="42"):
        cancel(builders.order(OrderState.REJECTED, version=2))


def test_an_order_that_waited_too_long_is_rejected() -> None:
    change = time_out(builders.order())
    assert change is not None
    order, event = change
    assert (order.state, order.rejection_reason) == (OrderState.REJECTED, RejectionReason.TIMED_OUT)
    assert isinstance(event, OrderRejected)
    assert (event.rejection_reason, event.version) == ("TIMED_OUT", 2)


@pytest.mark.parametrize("state", FINAL)
def test_an_order_that_is_final_waits_no_more(state: OrderState) -> None:
    assert time_out(builders.order(state, version=2)) is None


ALLOWED = {
    (OrderState.PENDING, OrderState.APPROVED),
    (OrderState.PENDING, OrderState.REJECTED),
    (OrderState.PENDING, OrderState.CANCELLED),
    (OrderState.APPROVED, OrderState.CANCELLED),
}


@given(st.lists(st.sampled_from([*DECISIONS, None]), max_size=8))
def test_an_order_only_ever_moves_as_allowed_and_its_events_count_its_versions(
    happenings: list[CreditDecision | None],
) -> None:
    order = builders.order()
    for happening in happenings:
        change = _happen(order, happening)
        if change is None:
            continue
        after, version = change
        assert (order.state, after.state) in ALLOWED
        assert after.version == version == order.version + 1
        order = after


def _happen(order: Order, happening: CreditDecision | None) -> tuple[Order, int] | None:
    """A decision, or a cancellation."""
    try:
        change = settle(order, happening) if happening else cancel(order)
    except NotCancellable:
        return None
    return (change[0], change[1].version) if change else None
