"""The checker of the chaos runs can fail: each kind of violation is found and names its ids."""

import pytest

from operations.snapshot import Order, Snapshot
from tests.chaos.checker import compare
from tests.chaos.ledger import Ledger, Outcome, Request


def request(
    order_id: int | None = 1,
    *,
    key: str | None = "k",
    total: int = 400,
    status: int | None = 200,
    cancelled: bool = False,
) -> Request:
    outcomes = {200: Outcome.ACKNOWLEDGED, None: Outcome.UNKNOWN, 503: Outcome.UNKNOWN}
    outcome = outcomes.get(status, Outcome.REFUSED)
    return Request(key, 7, total, sent=0.0, outcome=outcome, status=status, order_id=order_id, cancelled=cancelled)


def refused(*, key: str | None = "k", total: int = 500, status: int = 422) -> Request:
    return request(None, key=key, total=total, status=status)


def unanswered(*, key: str | None = None, total: int = 400) -> Request:
    return request(None, key=key, total=total, status=None)


def order(total: int = 400, state: str = "APPROVED", customer_id: int = 7) -> Order:
    return Order(customer_id, total, state, None, 2)


@pytest.mark.parametrize(
    ("requests", "orders"),
    [
        ([], {}),
        ([request(1)], {1: order()}),
        ([request(1, cancelled=True)], {1: order(state="CANCELLED")}),
        ([request(1, key=None), request(2, key=None)], {1: order(), 2: order()}),
        ([request(1), request(1)], {1: order()}),
        ([request(1), refused()], {1: order()}),
        ([refused(), request(1)], {1: order()}),
        ([unanswered()], {}),
        ([unanswered()], {1: order()}),
        ([unanswered(), unanswered()], {1: order(), 2: order()}),
    ],
    ids=[
        "no request",
        "one request",
        "cancelled",
        "without keys",
        "one key twice",
        "another body refused",
        "another body refused first",
        "unanswered without a key and not stored",
        "unanswered without a key and stored",
        "two unanswered without a key",
    ],
)
def test_orders_that_agree_with_the_ledger_are_no_violation(requests: list[Request], orders: dict[int, Order]) -> None:
    assert compare(Ledger(requests), Snapshot(orders=orders)) == []


@pytest.mark.parametrize(
    ("requests", "orders", "violation"),
    [
        ([request(1)], {}, "1 orders lost: [1]"),
        ([], {1: order()}, "1 orders that nobody asked for: [1]"),
        ([unanswered()], {1: order(), 2: order()}, "1 orders that nobody asked for: [2]"),
        ([unanswered()], {1: order(total=401)}, "1 orders that nobody asked for: [1]"),
        ([unanswered()], {1: order(customer_id=8)}, "1 orders that nobody asked for: [1]"),
        ([request(1), request(1, key="other")], {1: order()}, "1 orders given to two requests: [1]"),
        ([request(1, key=None), request(1, key=None)], {1: order()}, "1 orders given to two requests: [1]"),
        ([request(1), request(2)], {1: order(), 2: order()}, "key k was answered with orders [1, 2]"),
        ([refused()], {}, "refused with 422: "),
        ([request(1), refused(total=400)], {1: order()}, "refused with 422: "),
        ([request(1), refused(status=400)], {1: order()}, "refused with 400: "),
        ([request(1, key=None), refused(key=None)], {1: order()}, "refused with 422: "),
        ([request(1)], {1: order(total=401)}, "order 1 is "),
        ([request(1)], {1: order(customer_id=8)}, "order 1 is "),
        ([request(1), request(1, total=500)], {1: order()}, "order 1 is "),
        ([request(1, cancelled=True)], {1: order()}, "order 1 is APPROVED, its client was told CANCELLED"),
    ],
)
def test_a_violation_is_found_and_named(requests: list[Request], orders: dict[int, Order], violation: str) -> None:
    [found] = compare(Ledger(requests), Snapshot(orders=orders))
    assert found.startswith(violation)
