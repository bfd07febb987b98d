"""A batch folds to the newest states, whatever its order, its repeats and its borders."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from contracts.money import Money
from services.history.events import CustomerState, OrderState, ViewEvent
from services.history.projection import Changes, project


def _order(order_id: int, version: int) -> OrderState:
    # A version is one state, so that the same version never tells of two.
    state = ("PENDING", "APPROVED", "CANCELLED")[version % 3]
    return OrderState(order_id=order_id, customer_id=1, order_total=Money.of(400), state=state, version=version)


def _customer(customer_id: int, version: int) -> CustomerState:
    return CustomerState(customer_id=customer_id, name="Jane", credit_limit=Money.of(500), version=version)


IDS, VERSIONS = st.integers(1, 4), st.integers(1, 5)
EVENTS = st.lists(st.one_of(st.builds(_order, IDS, VERSIONS), st.builds(_customer, IDS, VERSIONS)), max_size=30)


@st.composite
def rearranged(draw: st.DrawFn) -> tuple[list[ViewEvent], list[list[ViewEvent]]]:
    """Events, and the same ones in another order, some twice, cut into batches."""
    events = draw(EVENTS)
    repeats = draw(st.lists(st.sampled_from(events), max_size=10)) if events else []
    shuffled = draw(st.permutations(events + repeats))
    cuts = sorted(draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    borders = [0, *cuts, len(shuffled)]
    return events, [shuffled[start:end] for start, end in pairwise(borders)]


@given(rearranged())
def test_any_order_repetition_and_cutting_into_batches_folds_to_the_same(
    example: tuple[list[ViewEvent], list[list[ViewEvent]]],
) -> None:
    events, batches = example
    assert _fold(batches) == project(events)


@given(EVENTS)
def test_of_each_aggregate_the_highest_version_stays(events: list[ViewEvent]) -> None:
    changes = project(events)
    newest: dict[int, int] = {}
    for event in events:
        if isinstance(event, OrderState):
            newest[event.order_id] = max(event.version, newest.get(event.order_id, 0))
    assert {order_id: state.version for order_id, state in changes.orders.items()} == newest


def test_a_customer_and_an_order_with_the_same_id_are_kept_apart() -> None:
    changes = project([_customer(1, 1), _order(1, 2)])
    assert changes == Changes({1: _customer(1, 1)}, {1: _order(1, 2)})


def _fold(batches: list[list[ViewEvent]]) -> Changes:
    """As the view does: what one batch has left is met by the next."""
    kept: list[ViewEvent] = []
    for batch in batches:
        changes = project([*kept, *project(batch).customers.values(), *project(batch).orders.values()])
        kept = [*changes.customers.values(), *changes.orders.values()]
    return project(kept)
