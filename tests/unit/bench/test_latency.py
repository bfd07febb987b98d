"""Which orders of an open loop are observed, and how."""

import pytest

from bench.latency import ObservedOrder, latencies, observation_of


@pytest.mark.parametrize("rate", [20.0, 80.0, 100.0, 300.0])
def test_ten_orders_per_second_are_observed_in_the_view_half_of_them_by_polling(rate: float) -> None:
    observations = [observation_of(number, rate) for number in range(int(rate) * 10)]
    assert sum(one.in_view for one in observations) == 100
    assert sum(one.by_polling for one in observations) == 50
    assert all(one.in_view for one in observations if one.by_polling)


def test_the_latency_counts_from_the_moment_at_which_the_order_was_due() -> None:
    assert latencies([ObservedOrder(1, due=10.0, answered=10.5, approved=11.0, visible=None)]) == [1000.0]
