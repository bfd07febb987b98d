"""The audit of states: parts that agree give no finding, and each disagreement is found and named by its id."""

from dataclasses import replace
from typing import Any

import pytest

from operations.audit import DECISIONS_THAT_FIT, audit
from operations.snapshot import Reservation, Snapshot
from services.customer.domain import ReservationState
from services.order.domain import OrderState, RejectionReason
from tests.unit.operations.snapshots import CUSTOMER, IN_VIEW, ORDER, customer_event, found, outbox


def test_parts_that_agree_give_no_finding() -> None:
    assert found() == []


def test_an_empty_system_gives_no_finding() -> None:
    assert audit(Snapshot()) == []


def test_credit_up_to_the_limit_is_no_finding_and_a_cent_more_is() -> None:
    full = {
        "customers": {1: replace(CUSTOMER, credit_limit=400)},
        "view_customers": {1: replace(IN_VIEW, credit_limit=400)},
    }
    over = {
        "customers": {1: replace(CUSTOMER, credit_limit=399)},
        "view_customers": {1: replace(IN_VIEW, credit_limit=399)},
    }
    assert found(**full) == []
    assert found(**over) == ["credit limit: customer 1: 400 cents reserved of a limit of 399"]


def test_negative_reserved_credit_is_found() -> None:
    assert "credit limit: customer 1: -1 cents reserved of a limit of 500" in found(
        customers={1: replace(CUSTOMER, reserved=-1)}
    )


@pytest.mark.parametrize("reserved", [0, 399, 401])
def test_reserved_credit_that_is_not_the_sum_of_the_reservations_is_found(reserved: int) -> None:
    assert found(customers={1: replace(CUSTOMER, reserved=reserved)}) == [
        f"reserved credit: customer 1: {reserved} cents in the customer's row, 400 in the reservations"
    ]


def test_a_pending_order_is_found() -> None:
    pending = replace(ORDER, state="PENDING")
    assert found(orders={7: pending}, view_orders={7: pending}) == ["final: order 7: is PENDING"]


def test_an_order_without_a_decision_is_found() -> None:
    assert "decision: order 7: is APPROVED, the customer service has no decision" in found(reservations={})


def test_a_reservation_without_an_order_is_found() -> None:
    assert "decision: order 7: has a reservation, but there is no such order" in found(orders={})


@pytest.mark.parametrize(
    ("customer_id", "amount"), [(2, 400), (1, 399), (1, 401)], ids=["of another customer", "too small", "too large"]
)
def test_a_reservation_that_is_not_about_what_the_order_asks_for_is_found(customer_id: int, amount: int) -> None:
    detail = f"asks for 400 cents of customer 1, its reservation is about {amount} cents of customer {customer_id}"
    assert f"decision: order 7: {detail}" in found(reservations={7: Reservation(customer_id, amount, "RESERVED")})


def test_every_final_state_and_rejection_reason_has_decisions_that_fit() -> None:
    assert {state for state, _ in DECISIONS_THAT_FIT} == {state.value for state in OrderState} - {"PENDING"}
    reasons = {reason for state, reason in DECISIONS_THAT_FIT if state == "REJECTED"}
    assert reasons == {reason.value for reason in RejectionReason}


@pytest.mark.parametrize(("state", "reason"), DECISIONS_THAT_FIT)
@pytest.mark.parametrize("decision", [state.value for state in ReservationState])
def test_a_decision_that_contradicts_the_orders_final_state_is_found(
    state: str, reason: str | None, decision: str
) -> None:
    order = replace(ORDER, state=state, reason=reason)
    customer = CUSTOMER if decision == "RESERVED" else replace(CUSTOMER, reserved=0)
    findings = found(
        orders={7: order},
        view_orders={7: order},
        customers={1: customer},
        reservations={7: Reservation(1, 400, decision)},
    )
    named = f"{state} ({reason})" if reason else state
    contradiction = f"decision: order 7: is {named}, its reservation is {decision}"
    assert findings == ([] if decision in DECISIONS_THAT_FIT[state, reason] else [contradiction])


def test_an_order_that_only_its_service_or_only_the_view_has_is_found() -> None:
    assert found(view_orders={}) == ["view: order 7: is missing in the view"]
    assert found(view_orders={7: ORDER, 8: ORDER}) == ["view: order 8: is in the view only"]


@pytest.mark.parametrize(
    ("field", "here", "there"),
    [
        ("customer_id", 1, 2),
        ("total", 400, 401),
        ("state", "APPROVED", "CANCELLED"),
        ("reason", None, "TIMED_OUT"),
        ("version", 2, 1),
        ("version", 2, 3),
    ],
)
def test_an_order_that_the_view_shows_differently_is_found(field: str, here: Any, there: Any) -> None:
    shown = replace(ORDER, **{field: there})
    assert found(view_orders={7: shown}) == [f"view: order 7: {field} is {here}, in the view {there}"]


def test_a_customer_that_only_its_service_or_only_the_view_has_is_found() -> None:
    assert found(view_customers={}) == ["view: customer 1: is missing in the view"]
    assert found(view_customers={1: IN_VIEW, 2: IN_VIEW}) == ["view: customer 2: is in the view only"]


@pytest.mark.parametrize(
    ("field", "here", "there"),
    [("name", "Jane Doe", "Joan Doe"), ("credit_limit", 500, 501), ("version", 1, 0), ("version", 1, 2)],
)
def test_a_customer_that_the_view_shows_differently_is_found(field: str, here: Any, there: Any) -> None:
    shown = replace(IN_VIEW, **{field: there})
    assert found(view_customers={1: shown}) == [f"view: customer 1: {field} is {here}, in the view {there}"]


@pytest.mark.parametrize(("version", "fits"), [(1, False), (2, False), (3, True), (4, False)])
def test_a_customers_version_in_the_view_is_that_of_its_newest_customer_created(version: int, *, fits: bool) -> None:
    events = outbox(customer_event(1), customer_event(3), customer_event(4, "CreditReserved"))
    shown = {1: replace(IN_VIEW, version=version)}
    expected = [] if fits else [f"view: customer 1: version is 3, in the view {version}"]
    assert found(customers={1: replace(CUSTOMER, version=4)}, view_customers=shown, **events) == expected


@pytest.mark.parametrize(("version", "fits"), [(1, True), (2, True), (3, False)])
def test_a_customer_past_the_outboxs_retention_has_no_higher_version_in_the_view_than_in_its_row(
    version: int, *, fits: bool
) -> None:
    expected = [] if fits else [f"view: customer 1: version is 2, in the view {version}"]
    assert found(view_customers={1: replace(IN_VIEW, version=version)}, **outbox()) == expected
