"""The hops of an order."""

import pytest

from bench.hops import HOPS, EventTimes, hop_times, mean_hop_times

EVENTS = {
    (42, "OrderCreated"): EventTimes(outbox=10.001, kafka=10.003, stream=10.006),
    (42, "CreditReserved"): EventTimes(outbox=10.010, kafka=10.015, stream=10.021),
    (42, "OrderApproved"): EventTimes(outbox=10.028, kafka=10.040, stream=10.050),
}


def test_each_hop_is_the_time_between_two_successive_timestamps() -> None:
    times = hop_times(EVENTS, 42, due=10.0, approved=10.036)
    assert times is not None
    assert list(times) == list(HOPS)
    assert list(times.values()) == pytest.approx([1, 2, 3, 4, 5, 6, 7, 8])


def test_the_hops_add_up_to_the_latency_of_the_order() -> None:
    times = hop_times(EVENTS, 42, due=9.5, approved=10.036)
    assert times is not None
    assert sum(times.values()) == pytest.approx(536)


@pytest.mark.parametrize("missing", ["OrderCreated", "CreditReserved", "OrderApproved"])
def test_an_order_without_the_times_of_one_of_its_events_has_no_hops(missing: str) -> None:
    incomplete = {key: times for key, times in EVENTS.items() if key[1] != missing}
    assert hop_times(incomplete, 42, due=10.0, approved=10.036) is None


def test_an_unknown_order_has_no_hops() -> None:
    assert hop_times(EVENTS, 43, due=10.0, approved=10.036) is None


def test_the_mean_is_taken_for_each_hop() -> None:
    orders = [dict.fromkeys(HOPS, 1.0), dict.fromkeys(HOPS, 2.0)]
    assert mean_hop_times(orders) == dict.fromkeys(HOPS, 1.5)


def test_the_mean_of_no_orders_raises_an_error() -> None:
    with pytest.raises(ValueError, match="no order"):
        mean_hop_times([])
