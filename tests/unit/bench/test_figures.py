"""Percentiles, medians and rounding."""

import pytest

from bench.figures import Figure, Section, distribution, percentile, round_significant


@pytest.mark.parametrize(("percent", "value"), [(1, 1), (50, 50), (95, 95), (99, 99), (99.9, 100), (100, 100)])
def test_a_percentile_is_the_smallest_value_that_so_many_per_cent_do_not_exceed(percent: float, value: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], percent) == value


def test_every_percentile_of_a_single_value_is_that_value() -> None:
    assert distribution([7.5]) == {"p50": 7.5, "p95": 7.5, "p99": 7.5, "max": 7.5}


def test_a_percentile_of_no_values_raises_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_one_slow_order_in_a_hundred_changes_the_maximum_but_not_p99() -> None:
    assert distribution([1.0] * 99 + [500.0]) == {"p50": 1.0, "p95": 1.0, "p99": 1.0, "max": 500.0}


def test_a_figure_is_reported_as_the_median_of_its_runs_with_minimum_and_maximum() -> None:
    assert Figure("rate", "orders/s", [900.04, 1500.0, 1000.0]).as_json() == {
        "name": "rate",
        "unit": "orders/s",
        "median": 1000,
        "min": 900,
        "max": 1500,
        "runs": [900, 1500, 1000],
    }


@pytest.mark.parametrize(("value", "rounded"), [(0.0123456, 0.01235), (1234.56, 1235), (15_400.4, 15400), (0.0, 0)])
def test_a_value_is_rounded_to_four_significant_digits(value: float, rounded: float) -> None:
    assert round_significant(value) == rounded


def test_add_rows_adds_one_row_for_each_key_with_the_values_of_all_runs() -> None:
    section = Section("Cost")
    section.add_rows("ms", [{"order": 1.0, "bridge": 2.0}, {"order": 3.0, "bridge": 4.0}], "CPU of ")
    assert [(f.name, list(f.runs)) for f in section.figures] == [("CPU of order", [1, 3]), ("CPU of bridge", [2, 4])]


def test_add_columns_adds_one_row_with_a_column_for_each_key() -> None:
    section = Section("Latency")
    section.add_columns("POST", "ms", [{"p50": 1.0, "p99": 2.0}, {"p50": 3.0, "p99": 4.0}])
    assert [(f.name, f.column, list(f.runs)) for f in section.figures] == [
        ("POST", "p50", [1, 3]),
        ("POST", "p99", [2, 4]),
    ]
