"""Percentiles, medians and their rounding."""

import pytest

from bench.figures import Figure, Section, distribution, percentile, significant


@pytest.mark.parametrize(("share", "value"), [(1, 1), (50, 50), (95, 95), (99, 99), (99.9, 100), (100, 100)])
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(share: float, value: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == value


def test_every_percentile_of_one_value_is_that_value() -> None:
    assert distribution([7.5]) == {"p50": 7.5, "p95": 7.5, "p99": 7.5, "max": 7.5}


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


def test_one_slow_order_in_a_hundred_shows_in_the_maximum_and_not_before() -> None:
    assert distribution([1.0] * 99 + [500.0]) == {"p50": 1.0, "p95": 1.0, "p99": 1.0, "max": 500.0}


def test_a_figure_is_the_median_of_its_runs_with_their_spread() -> None:
    assert Figure("rate", "orders/s", [900.04, 1500.0, 1000.0]).as_json() == {
        "name": "rate",
        "unit": "orders/s",
        "median": 1000,
        "min": 900,
        "max": 1500,
        "runs": [900, 1500, 1000],
    }


@pytest.mark.parametrize(("value", "rounded"), [(0.0123456, 0.01235), (1234.56, 1235), (15_400.4, 15400), (0.0, 0)])
def test_a_value_is_told_with_four_significant_digits(value: float, rounded: float) -> None:
    assert significant(value) == rounded


def test_runs_that_measured_several_things_become_a_line_for_each() -> None:
    section = Section("Cost")
    section.add_lines("ms", [{"order": 1.0, "bridge": 2.0}, {"order": 3.0, "bridge": 4.0}], "CPU of ")
    assert [(f.name, list(f.runs)) for f in section.figures] == [("CPU of order", [1, 3]), ("CPU of bridge", [2, 4])]
