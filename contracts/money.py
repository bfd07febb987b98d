"""Money on the wire and in whole cents.

On the wire an amount is a JSON number with at most two decimals (`4`, `12.34`); everywhere else it is
an `int` of cents, so that no sum ever rounds.
"""

from decimal import Decimal
from math import inf
from typing import Annotated, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

MAX_AMOUNT = 10**13
"""The largest amount accepted. Its cents (10^15) are exact in a double, which is what JSON readers use."""

DECIMALS = 2


def to_cents(amount: object) -> int:
    """Converts an amount as parsed from JSON to whole cents, exactly.

    Args:
        amount: int, Decimal or float; a float stands for the shortest decimal that reads back as it.

    Raises:
        ValueError: not a number (booleans and strings included), not finite, beyond
            `MAX_AMOUNT`, or with more than two decimals.
    """
    if isinstance(amount, bool) or not isinstance(amount, int | float | Decimal):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic reports ValueError, not TypeError
    if not (amount.is_finite() if isinstance(amount, Decimal) else abs(amount) < inf):
        raise ValueError("must be a finite number")
    if not -MAX_AMOUNT <= amount <= MAX_AMOUNT:
        raise ValueError(f"must not be beyond {MAX_AMOUNT}")
    if isinstance(amount, int):
        return amount * 100
    return _cents_of_float(amount) if isinstance(amount, float) else _cents_of_decimal(amount)


def _cents_of_float(value: float) -> int:
    # The cents are exact, so their quotient is the double nearest to an amount with two decimals: this one, or another.
    cents = round(value * 100)
    if cents / 100 != value:
        raise ValueError("must have at most two decimals")
    return cents


def _cents_of_decimal(value: Decimal) -> int:
    # By digits, not by arithmetic: Decimal's operators round to the context's precision, and
    # a fraction of 1E-999999999 would not fit into memory.
    sign, digits, exponent = value.as_tuple()
    if not any(digits):
        return 0
    assert isinstance(exponent, int)  # finite, so the exponent is a number
    surplus = -(exponent + DECIMALS)
    if surplus > 0:
        if len(digits) <= surplus or any(digits[-surplus:]):
            raise ValueError("must have at most two decimals")
        digits = digits[:-surplus]
    cents: int = int("".join(map(str, digits))) * 10 ** max(-surplus, 0)
    return -cents if sign else cents


def to_amount(cents: int) -> int | float:
    """The JSON number for an amount: `400` cents are `4`, `1234` are `12.34`."""
    whole, rest = divmod(cents, 100)
    # A quotient of two exact integers is the double nearest to it, which prints as it should.
    return cents / 100 if rest else whole


Cents = Annotated[int, BeforeValidator(to_cents), PlainSerializer(to_amount, return_type=int | float)]


class Money(BaseModel):
    """`{"amount": 12.34}` on the wire, whole cents in the program; not negative."""

    model_config = ConfigDict(frozen=True, strict=True, populate_by_name=True)

    cents: Cents = Field(alias="amount", ge=0)

    @classmethod
    def of(cls, cents: int) -> Self:
        """The money that is `cents` cents, without going through an amount."""
        return cast("Self", cls.model_construct(cents=cents))  # mypy's plugin takes it for Money


class PositiveMoney(Money):
    """Money, and some of it."""

    cents: Cents = Field(alias="amount", gt=0)
