"""What the projection relies on in the view."""

from typing import Any

from contracts.money import Money
from services.history.events import CustomerState, OrderState
from services.history.projection import Changes


def _order(version: int, state: str = "PENDING") -> Changes:
    order = OrderState(order_id=1, customer_id=1, order_total=Money.of(400), state=state, version=version)
    return Changes(orders={1: order})


def _customer(version: int, name: str = "Jane") -> Changes:
    limit = Money.of(1_000)
    return Changes(customers={1: CustomerState(customer_id=1, name=name, credit_limit=limit, version=version)})


async def _state(view: Any) -> str | None:
    order = await view.views.find_order(1)
    return order["state"] if order else None


async def test_a_state_is_taken_only_with_a_higher_version(view: Any) -> None:
    await view.views.prepare()
    await view.views.apply(_order(2, "APPROVED"))
    await view.views.apply(_order(1, "PENDING"))
    assert await _state(view) == "APPROVED"
    await view.views.apply(_order(2, "REJECTED"))
    assert await _state(view) == "APPROVED"
    await view.views.apply(_order(3, "CANCELLED"))
    assert await _state(view) == "CANCELLED"


async def test_a_customer_comes_with_its_orders(view: Any) -> None:
    await view.views.prepare()
    await view.views.apply(_order(1))
    assert await view.views.find_customer(1) is None
    await view.views.apply(_customer(1))
    customer, orders = await view.views.find_customer(1)
    assert (customer["name"], customer["creditLimit"], customer["version"]) == ("Jane", 1_000, 1)
    assert orders == [
        {"_id": 1, "customerId": 1, "total": 400, "state": "PENDING", "reason": None, "version": 1},
    ]


async def test_the_view_keeps_its_identity_until_it_is_wiped(view: Any) -> None:
    first = await view.views.prepare()
    assert await view.views.prepare() == first
    assert not await view.views.is_wiped()
    await view.views.apply(_order(1))
    view.wipe()
    assert await view.views.is_wiped()
    assert await _state(view) is None
    assert await view.views.prepare() != first
    assert not await view.views.is_wiped()
