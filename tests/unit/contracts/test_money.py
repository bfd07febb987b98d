from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.money import MAX_AMOUNT, Money, PositiveMoney, to_amount, to_cents

MAX_CENTS = 100 * MAX_AMOUNT


@given(st.integers(0, MAX_CENTS))
def test_cents_are_unchanged_after_a_round_trip_through_json(cents: int) -> None:
    assert to_cents(orjson.loads(orjson.dumps(to_amount(cents)))) == cents


@given(st.integers(0, MAX_CENTS))
def test_an_amount_is_printed_without_exponent_and_without_surplus_zeros(cents: int) -> None:
    printed = orjson.dumps(to_amount(cents)).decode()
    assert Decimal(printed) == Decimal(cents) / 100
    assert not printed.endswith((".0", ".00"))
    assert "e" not in printed


@given(st.integers(-MAX_CENTS, MAX_CENTS))
def test_a_decimal_is_converted_exactly(cents: int) -> None:
    assert to_cents(Decimal(cents).scaleb(-2)) == cents


@pytest.mark.parametrize(
    ("amount", "cents"),
    [(4, 400), (4.0, 400), (12.34, 1234), (0.1, 10), (0, 0), (-0.0, 0), (1e13, MAX_CENTS), (Decimal("1E+2"), 10_000)],
)
def test_an_amount_is_converted_to_the_cents_that_its_decimals_show(amount: Any, cents: int) -> None:
    assert to_cents(amount) == cents


@pytest.mark.parametrize("amount", [Decimal("0E-999999999"), Decimal("4.000000000000000000000000000000000000")])
def test_zeros_after_the_second_decimal_are_accepted(amount: Decimal) -> None:
    assert to_cents(amount) == 100 * int(amount)


@pytest.mark.parametrize(
    ("amount", "fault"),
    [
        ("4", "must be a number"),
        (True, "must be a number"),
        (None, "must be a number"),
        ([4], "must be a number"),
        (float("nan"), "must be a finite number"),
        (float("-inf"), "must be a finite number"),
        (Decimal("sNaN"), "must be a finite number"),
        (MAX_AMOUNT + 1, "must not be beyond"),
        (-MAX_AMOUNT - 1, "must not be beyond"),
        (Decimal("1E+999999999"), "must not be beyond"),
        (Decimal("10000000000000.01"), "must not be beyond"),
        (0.001, "at most two decimals"),
        (Decimal("4.001"), "at most two decimals"),
        (Decimal("1E-999999999"), "at most two decimals"),
        (Decimal("4.0000000000000000000000000000000001"), "at most two decimals"),
    ],
)
def test_a_value_that_is_not_an_amount_is_refused_with_the_reason(amount: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        to_cents(amount)


def test_money_is_at_least_0_and_positive_money_at_least_a_cent() -> None:
    assert Money.model_validate({"amount": 0}).cents == 0
    with pytest.raises(ValidationError):
        Money.model_validate({"amount": -0.01})
    assert PositiveMoney.model_validate({"amount": 0.01}).cents == 1
    with pytest.raises(ValidationError):
        PositiveMoney.model_validate({"amount": 0})


def test_money_of_cents_equals_the_money_read_from_the_same_amount() -> None:
    assert Money.of(1_234) == Money.model_validate({"amount": 12.34})
