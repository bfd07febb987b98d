"""When the warm-up ends."""

import pytest

from bench.throughput import is_stable


@pytest.mark.parametrize("rates", [[], [500.0, 500.0]])
def test_fewer_than_three_rounds_are_not_stable(rates: list[float]) -> None:
    assert not is_stable(rates)


@pytest.mark.parametrize("rates", [[500.0, 900.0, 905.0], [500.0, 900.0, 510.0], [500.0, 510.0, 900.0]])
def test_rounds_are_not_stable_if_one_of_the_last_two_is_faster_than_all_before(rates: list[float]) -> None:
    assert not is_stable(rates)


@pytest.mark.parametrize("rates", [[500.0, 900.0, 905.0, 898.0], [900.0, 500.0, 500.0]])
def test_rounds_are_stable_if_the_last_two_are_not_faster_than_all_before(rates: list[float]) -> None:
    assert is_stable(rates)
