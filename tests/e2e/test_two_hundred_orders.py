"""Two hundred concurrent orders, of twenty clients for ten customers."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier

import pytest

from tests.checker import assert_converges
from tests.drivers import System

CLIENTS = 20
UNKNOWN_CUSTOMER = -7

RICH, TIGHT, POOR = range(5), range(5, 8), range(8, 10)
"""Positions of customers: every order fits the limit; five orders fit it; no order fits it."""

LIMITS = [1000.0] * 5 + [20.0] * 3 + [3.99] * 2
TOTAL = 4


@dataclass(frozen=True)
class Placed:
    """One client's order for one of the ten customers."""

    order_id: int
    client: int
    slot: int

    @property
    def is_of_unknown_customer(self) -> bool:
        return _is_of_unknown_customer(self.client, self.slot)

    @property
    def is_cancelled(self) -> bool:
        return self.slot in RICH and self.client % 2 == 0


def _is_of_unknown_customer(client: int, slot: int) -> bool:
    return client >= 18 and slot not in RICH


@pytest.fixture(scope="module")
def customers(system: System) -> list[int]:
    return [system.customers.create(limit) for limit in LIMITS]


@pytest.fixture(scope="module")
def orders(system: System, customers: list[int]) -> list[Placed]:
    """All two hundred, placed and some of them cancelled, each final."""
    start = Barrier(CLIENTS)

    def place(client: int) -> list[Placed]:
        start.wait()
        return [_place(system, client, slot, customers) for slot in range(10)]

    with ThreadPoolExecutor(CLIENTS) as clients:
        placed = [order for orders in clients.map(place, range(CLIENTS)) for order in orders]
    for order in placed:
        system.orders.settled(order.order_id)
    return placed


def _place(system: System, client: int, slot: int, customers: Sequence[int]) -> Placed:
    customer = UNKNOWN_CUSTOMER if _is_of_unknown_customer(client, slot) else customers[slot]
    order = Placed(system.orders.place(customer, TOTAL), client, slot)
    if order.is_cancelled:
        system.orders.cancel(order.order_id)
    return order


def test_each_order_reaches_the_right_final_state(system: System, orders: list[Placed]) -> None:
    outcomes = {order: system.orders.read(order.order_id) for order in orders}
    assert len({order.order_id for order in orders}) == 200
    for order, outcome in outcomes.items():
        state = outcome["orderState"], outcome.get("rejectionReason")
        if order.is_of_unknown_customer:
            assert state == ("REJECTED", "UNKNOWN_CUSTOMER")
        elif order.slot in POOR:
            assert state == ("REJECTED", "INSUFFICIENT_CREDIT")
        elif order.slot in RICH:
            assert state == ("CANCELLED" if order.is_cancelled else "APPROVED", None)


def test_exactly_as_many_orders_are_approved_as_fit_a_tight_limit(system: System, orders: list[Placed]) -> None:
    for slot in TIGHT:
        mine = [order for order in orders if order.slot == slot and not order.is_of_unknown_customer]
        states = Counter(system.orders.read(order.order_id)["orderState"] for order in mine)
        assert states == {"APPROVED": 5, "REJECTED": 13}


@pytest.mark.usefixtures("orders")
def test_the_history_agrees_with_both_services(system: System, customers: list[int]) -> None:
    for customer in customers:
        assert_converges(system, customer)
