"""An order's time, hop by hop."""

import pytest

from bench.hops import HOPS, EventTimes, means, split

EVENTS = {
    (42, "OrderCreated"): EventTimes(row=10.001, kafka=10.003, stream=10.006),
    (42, "CreditReserved"): EventTimes(row=10.010, kafka=10.015, stream=10.021),
    (42, "OrderApproved"): EventTimes(row=10.028, kafka=10.040, stream=10.050),
}


def test_the_hops_are_those_between_the_times_that_the_system_kept() -> None:
    hops = split(EVENTS, 42, due=10.0, approved=10.036)
    assert hops is not None
    assert list(hops) == list(HOPS)
    assert list(hops.values()) == pytest.approx([1, 2, 3, 4, 5, 6, 7, 8])


def test_the_hops_add_up_to_the_whole() -> None:
    hops = split(EVENTS, 42, due=9.5, approved=10.036)
    assert hops is not None
    assert sum(hops.values()) == pytest.approx(536)


def test_an_order_whose_events_were_not_all_found_is_left_out() -> None:
    incomplete = {key: times for key, times in EVENTS.items() if key[1] != "CreditReserved"}
    assert split(incomplete, 42, due=10.0, approved=10.036) is None
    assert split(EVENTS, 43, due=10.0, approved=10.036) is None


def test_the_means_of_the_hops_are_taken_hop_by_hop() -> None:
    splits = [dict.fromkeys(HOPS, 1.0), dict.fromkeys(HOPS, 2.0)]
    assert means(splits) == dict.fromkeys(HOPS, 1.5)
