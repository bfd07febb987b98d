"""What the projection relies on in the view."""

from typing import Any

import pytest

from contracts.money import Money
from services.history.events import CustomerState, OrderState
from services.history.projection import Changes
from tests.eventually import eventually_async


def _order(version: int, state: str = "PENDING") -> Changes:
    order = OrderState(order_id=1, customer_id=1, order_total=Money.of(400), state=state, version=version)
    return Changes(orders={1: order})


def _customer(version: int, name: str = "Jane") -> Changes:
    limit = Money.of(1_000)
    return Changes(customers={1: CustomerState(customer_id=1, name=name, credit_limit=limit, version=version)})


async def _state(generation: Any) -> str | None:
    order = await generation.find_order(1)
    return order["state"] if order else None


@pytest.fixture
async def generation(view: Any) -> Any:
    generation = view.views.generation("a")
    await generation.prepare()
    return generation


async def test_a_state_is_taken_only_with_a_higher_version(generation: Any) -> None:
    await generation.apply(_order(2, "APPROVED"))
    await generation.apply(_order(1, "PENDING"))
    assert await _state(generation) == "APPROVED"
    await generation.apply(_order(2, "REJECTED"))
    assert await _state(generation) == "APPROVED"
    await generation.apply(_order(3, "CANCELLED"))
    assert await _state(generation) == "CANCELLED"


async def test_a_customer_comes_with_its_orders(generation: Any) -> None:
    await generation.apply(_order(1))
    assert await generation.find_customer(1) is None
    await generation.apply(_customer(1))
    customer, orders = await generation.find_customer(1)
    assert (customer["name"], customer["creditLimit"], customer["version"]) == ("Jane", 1_000, 1)
    assert orders == [
        {"_id": 1, "customerId": 1, "total": 400, "state": "PENDING", "reason": None, "version": 1},
    ]


async def test_generations_do_not_mix_and_one_is_dropped_without_the_other(view: Any, generation: Any) -> None:
    other = view.views.generation("b")
    await other.prepare()
    await generation.apply(_order(2, "APPROVED"))
    await other.apply(_order(1))
    assert (await _state(generation), await _state(other)) == ("APPROVED", "PENDING")
    assert await view.views.stored() == {"a", "b"}
    await generation.drop()
    assert (await _state(generation), await _state(other)) == (None, "PENDING")
    assert await view.views.stored() == {"b"}


async def test_at_first_nothing_is_live_and_one_generation_can_be_begun(view: Any) -> None:
    assert (await view.views.look()).wanted == []
    name = await view.views.begin()
    assert await view.views.begin() is None
    generations = await view.views.look()
    assert (generations.live, generations.building) == (None, name)


async def test_only_the_generation_that_is_being_built_is_swapped_in_and_once(view: Any) -> None:
    first = await view.views.begin()
    assert not await view.views.swap("another")
    assert await view.views.swap(first)
    assert not await view.views.swap(first)
    second = await view.views.begin()
    generations = await view.views.look()
    assert (generations.live, generations.building) == (first, second)
    assert await view.views.swap(second)
    generations = await view.views.look()
    assert (generations.live, generations.building) == (second, None)


async def test_how_long_a_generation_is_live_counts_from_its_swap(view: Any) -> None:
    assert (await view.views.look()).live_for == 0
    await view.views.swap(await view.views.begin())

    async def some_time_has_passed() -> float:
        live_for: float = (await view.views.look()).live_for
        assert live_for > 0.05
        return live_for

    before = await eventually_async(some_time_has_passed)
    await view.views.swap(await view.views.begin())
    assert (await view.views.look()).live_for < before


async def test_of_a_wiped_view_nothing_counts_and_its_names_do_not_come_again(view: Any) -> None:
    first = await view.views.begin()
    await view.views.swap(first)
    view.wipe()
    assert (await view.views.look()).wanted == []
    assert not await view.views.swap(first)
    assert await view.views.begin() != first
