"""Credit decisions, one event at a time and over whole histories."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.money import Money
from services.customer.domain import NOTHING, Customer, Reservation, ReservationState, created, decide
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
from tests import builders

CREATED = OrderCreated.from_json(builders.order_created(total=1_234).to_json())
CANCELLED = OrderCancelled.from_json(builders.order_cancelled(total=1_234).to_json())
REJECTED = OrderRejected.from_json(builders.order_rejected(total=1_234).to_json())
ENDS = pytest.mark.parametrize("end", [CANCELLED, REJECTED], ids=["cancelled", "rejected"])


def test_a_new_customer_is_told_of_with_all_of_the_credit() -> None:
    event = created(builders.customer(limit=10_000))
    assert (event.credit_limit.cents, event.available_credit.cents, event.version) == (10_000, 10_000, 1)


@pytest.mark.parametrize("reserved", [0, 8_766])
def test_an_order_that_fits_reserves_its_total(reserved: int) -> None:
    outcome = decide(CREATED, builders.customer(limit=10_000, reserved=reserved, version=4), None)
    assert outcome.customer == builders.customer(limit=10_000, reserved=reserved + 1_234, version=5)
    assert outcome.reservation == builders.reservation(ReservationState.RESERVED)
    assert isinstance(outcome.event, CreditReserved)
    assert (outcome.event.available_credit.cents, outcome.event.version) == (10_000 - reserved - 1_234, 5)


@pytest.mark.parametrize("reserved", [8_767, 10_000])
def test_an_order_that_does_not_fit_reserves_nothing(reserved: int) -> None:
    outcome = decide(CREATED, builders.customer(limit=10_000, reserved=reserved, version=4), None)
    assert outcome.customer == builders.customer(limit=10_000, reserved=reserved, version=5)
    assert outcome.reservation == builders.reservation(ReservationState.LIMIT_EXCEEDED)
    assert isinstance(outcome.event, CreditLimitExceeded)
    assert outcome.event.available_credit.cents == 10_000 - reserved


@pytest.mark.parametrize(("limit", "kind"), [(10_000, CreditReserved), (1_000, CreditLimitExceeded)])
def test_a_decision_is_told_with_the_whole_state_of_the_customer_and_with_its_order(
    limit: int, kind: type[CreditReserved | CreditLimitExceeded]
) -> None:
    event = decide(CREATED, builders.customer(limit=limit, version=4), None).event
    available = limit - 1_234 if kind is CreditReserved else limit
    assert event == kind(
        customer_id=7,
        name="Jane Doe",
        credit_limit=Money.of(limit),
        available_credit=Money.of(available),
        version=5,
        order_id=42,
        order_total=Money.of(1_234),
    )


def test_an_order_of_nobody_fails_the_validation() -> None:
    outcome = decide(CREATED, None, None)
    assert outcome.customer is None
    assert outcome.reservation == builders.reservation(ReservationState.UNKNOWN_CUSTOMER)
    assert isinstance(outcome.event, CustomerValidationFailed)


@pytest.mark.parametrize("state", ReservationState)
def test_an_order_that_was_decided_before_is_not_decided_again(state: ReservationState) -> None:
    assert decide(CREATED, builders.customer(), builders.reservation(state)) == NOTHING


@ENDS
def test_the_end_of_an_order_gives_the_reserved_amount_back_without_an_event(end: OrderEvent) -> None:
    # The amount that was reserved, whatever the event says.
    outcome = decide(end, builders.customer(reserved=1_500, version=4), builders.reservation(amount=1_000))
    assert outcome.customer == builders.customer(reserved=500, version=5)
    assert outcome.reservation == builders.reservation(ReservationState.RELEASED, amount=1_000)
    assert outcome.event is None


@ENDS
@pytest.mark.parametrize("customer", [builders.customer(), None])
def test_an_end_that_overtakes_its_order_leaves_a_tombstone(customer: Customer | None, end: OrderEvent) -> None:
    outcome = decide(end, customer, None)
    assert (outcome.customer, outcome.event) == (None, None)
    assert outcome.reservation == builders.reservation(ReservationState.CANCELLED)


@ENDS
@pytest.mark.parametrize("state", [state for state in ReservationState if state is not ReservationState.RESERVED])
def test_the_end_of_an_order_without_reserved_credit_changes_nothing(state: ReservationState, end: OrderEvent) -> None:
    assert decide(end, builders.customer(), builders.reservation(state)) == NOTHING


@dataclass
class Books:
    """One customer's books, kept by the decisions alone."""

    customer: Customer
    reservations: dict[int, Reservation] = field(default_factory=dict)
    told: list[CustomerEvent] = field(default_factory=list)

    def take(self, event: OrderEvent) -> None:
        outcome = decide(event, self.customer, self.reservations.get(event.order_id))
        self.customer = outcome.customer or self.customer
        if outcome.reservation:
            self.reservations[event.order_id] = outcome.reservation
        if outcome.event:
            self.told.append(outcome.event)

    def reserved(self) -> int:
        return sum(r.amount for r in self.reservations.values() if r.state is ReservationState.RESERVED)


def _events_about(order_id: int) -> list[OrderEvent]:
    total = 100 * order_id  # an order's total never changes, so it follows from the order's id
    return [
        OrderCreated.from_json(builders.order_created(order_id, total=total).to_json()),
        OrderCancelled.from_json(builders.order_cancelled(order_id, total=total).to_json()),
        OrderRejected.from_json(builders.order_rejected(order_id, total=total).to_json()),
    ]


KINDS = [event for order_id in range(1, 9) for event in _events_about(order_id)]
EVENTS = st.lists(st.sampled_from(KINDS), max_size=40)


@given(EVENTS, st.integers(0, 3_000))
def test_reserved_credit_is_the_sum_of_the_reservations_and_never_beyond_the_limit(
    events: list[OrderEvent], limit: int
) -> None:
    books = Books(builders.customer(limit=limit))
    for event in events:
        books.take(event)
        assert books.customer.reserved == books.reserved()
        assert 0 <= books.customer.reserved <= limit


@given(EVENTS)
def test_an_order_gets_one_decision_whatever_is_repeated_in_whatever_order(events: list[OrderEvent]) -> None:
    books = Books(builders.customer(limit=2_000))
    for event in events:
        books.take(event)
    decided = [event.order_id for event in books.told if not isinstance(event, CustomerCreated)]
    assert len(decided) == len(set(decided))


@given(EVENTS)
def test_after_its_end_an_order_holds_no_credit_whatever_came_before_or_comes_after(events: list[OrderEvent]) -> None:
    books = Books(builders.customer(limit=2_000))
    for event in events:
        books.take(event)
    ended = {event.order_id for event in events if not isinstance(event, OrderCreated)}
    holding = {r.order_id for r in books.reservations.values() if r.state is ReservationState.RESERVED}
    assert not ended & holding


@given(EVENTS)
def test_each_change_of_a_customer_gets_the_next_version(events: list[OrderEvent]) -> None:
    books = Books(builders.customer(limit=2_000))
    for event in events:
        before = books.customer
        books.take(event)
        assert books.customer.version == before.version + (books.customer is not before)
