"""Money: amounts on the wire, whole cents in the program.

On the wire an amount is a JSON number with at most two decimals (`4`, `12.34`). In the program it is an `int` of cents,
so sums are exact.
"""

from decimal import Decimal
from math import inf
from typing import Annotated, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

MAX_AMOUNT = 10**13
"""The largest accepted amount. Its cents (10^15) are exact in a double, the type that most JSON readers use."""

DECIMALS = 2


def to_cents(amount: object) -> int:
    """Converts an amount as parsed from JSON to whole cents, exactly.

    Args:
        amount: int, Decimal or float. A float means the shortest decimal that parses to it.

    Raises:
        ValueError: it is not a number (a boolean and a string are none), not finite, above `MAX_AMOUNT`, below its
            negative, or has more than two decimals.
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
    # The double nearest to an amount with two decimals is its cents divided by 100, because both of these are exact.
    # A value that differs from that quotient has more decimals.
    cents = round(value * 100)
    if cents / 100 != value:
        raise ValueError("must have at most two decimals")
    return cents


def _cents_of_decimal(value: Decimal) -> int:
    # Digits instead of arithmetic: Decimal's operators round to the precision of the context, and 1E-999999999 as a
    # fraction does not fit into memory.
    sign, digits, exponent = value.as_tuple()
    if not any(digits):
        return 0
    assert isinstance(exponent, int)  # the value is finite
    surplus = -(exponent + DECIMALS)
    if surplus > 0:
        if len(digits) <= surplus or any(digits[-surplus:]):
            raise ValueError("must have at most two decimals")
        digits = digits[:-surplus]
    cents: int = int("".join(map(str, digits))) * 10 ** max(-surplus, 0)
    return -cents if sign else cents


def to_amount(cents: int) -> int | float:
    """The JSON number of an amount: `4` for 400 cents, `12.34` for 1234."""
    whole, rest = divmod(cents, 100)
    # Both integers are exact, so the quotient is the nearest double, and prints with two decimals at most.
    return cents / 100 if rest else whole


Cents = Annotated[int, BeforeValidator(to_cents), PlainSerializer(to_amount, return_type=int | float)]


class Money(BaseModel):
    """`{"amount": 12.34}` on the wire, whole cents in the program; at least 0."""

    model_config = ConfigDict(frozen=True, strict=True, populate_by_name=True)

    cents: Cents = Field(alias="amount", ge=0)

    @classmethod
    def of(cls, cents: int) -> Self:
        """Money of so many cents."""
        return cast("Self", cls.model_construct(cents=cents))  # mypy's plugin takes it for Money


class PositiveMoney(Money):
    """Money of at least one cent."""

    cents: Cents = Field(alias="amount", gt=0)
