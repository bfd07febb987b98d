"""What the history service relies on in the view."""

import pytest

from contracts.money import Money
from services.history.events import CustomerState, OrderState
from services.history.projection import Changes
from services.history.views import ViewBeingBuilt
from tests.behaviour.parts import Generation, View
from tests.eventually import eventually_async


def _order(version: int, state: str = "PENDING", order_id: int = 1) -> Changes:
    order = OrderState(order_id=order_id, customer_id=1, order_total=Money.of(400), state=state, version=version)
    return Changes(orders={order_id: order})


def _customer(version: int, name: str = "Jane") -> Changes:
    limit = Money.of(1_000)
    return Changes(customers={1: CustomerState(customer_id=1, name=name, credit_limit=limit, version=version)})


async def _state(generation: Generation) -> str | None:
    order = await generation.find_order(1)
    return order["state"] if order else None


async def _begin(view: View) -> str:
    """Begins a generation and prepares it."""
    name = await view.views.begin()
    assert name is not None
    await view.generation(name).prepare()
    return name


@pytest.fixture
async def generation(view: View) -> Generation:
    generation = view.generation("a")
    await generation.prepare()
    return generation


async def test_a_state_is_taken_only_with_a_higher_version(generation: Generation) -> None:
    await generation.apply(_order(2, "APPROVED"))
    await generation.apply(_order(1, "PENDING"))
    assert await _state(generation) == "APPROVED"
    await generation.apply(_order(2, "REJECTED"))
    assert await _state(generation) == "APPROVED"
    await generation.apply(_order(3, "CANCELLED"))
    assert await _state(generation) == "CANCELLED"


async def test_a_customer_is_found_with_its_orders(generation: Generation) -> None:
    await generation.apply(_order(1))
    assert await generation.find_customer(1) is None
    await generation.apply(_customer(1))
    found = await generation.find_customer(1)
    assert found is not None
    customer, orders = found
    assert (customer["name"], customer["creditLimit"], customer["version"]) == ("Jane", 1_000, 1)
    assert orders == [
        {"_id": 1, "customerId": 1, "total": 400, "state": "PENDING", "reason": None, "version": 1},
    ]


async def test_each_generation_has_its_own_documents_and_is_dropped_alone(view: View, generation: Generation) -> None:
    other = view.generation("b")
    await other.prepare()
    await generation.apply(_order(2, "APPROVED"))
    await other.apply(_order(1))
    assert (await _state(generation), await _state(other)) == ("APPROVED", "PENDING")
    assert await view.views.stored() == {"a", "b"}
    await generation.drop()
    assert (await _state(generation), await _state(other)) == (None, "PENDING")
    assert await view.views.stored() == {"b"}


async def test_at_first_nothing_is_live_and_one_generation_can_be_begun(view: View) -> None:
    assert (await view.views.look()).wanted == []
    name = await view.views.begin()
    assert await view.views.begin() is None
    generations = await view.views.look()
    assert (generations.live, generations.building) == (None, name)


async def test_only_the_generation_that_is_being_built_is_swapped_in_and_once(view: View) -> None:
    first = await _begin(view)
    assert not await view.views.swap("another")
    assert await view.views.swap(first)
    assert not await view.views.swap(first)
    second = await _begin(view)
    generations = await view.views.look()
    assert (generations.live, generations.building) == (first, second)
    assert await view.views.swap(second)
    generations = await view.views.look()
    assert (generations.live, generations.building) == (second, None)


async def test_the_time_that_a_generation_is_live_counts_from_its_swap(view: View) -> None:
    assert (await view.views.look()).live_for == 0
    await view.views.swap(await _begin(view))

    async def some_time_has_passed() -> float:
        live_for: float = (await view.views.look()).live_for
        assert live_for > 0.05
        return live_for

    before = await eventually_async(some_time_has_passed)
    await view.views.swap(await _begin(view))
    assert (await view.views.look()).live_for < before


async def test_after_a_wipe_no_generation_counts_and_no_name_is_given_again(view: View) -> None:
    first = await _begin(view)
    await view.views.swap(first)
    view.wipe()
    assert (await view.views.look()).wanted == []
    assert not await view.views.swap(first)
    assert await view.views.begin() != first


async def test_readers_see_the_live_generation_only(view: View) -> None:
    first = await _begin(view)
    await view.generation(first).apply(_customer(1))
    with pytest.raises(ViewBeingBuilt):
        await view.views.count_customers()
    await view.views.swap(first)
    second = await _begin(view)
    await view.generation(second).apply(_order(1))
    assert await view.views.count_customers() == 1
    assert await view.views.find_order(1) is None
    await view.views.swap(second)
    assert await view.views.count_customers() == 0
    assert (await view.views.find_order(1) or {})["state"] == "PENDING"


async def test_a_customers_orders_are_listed_from_the_highest_id_down(view: View) -> None:
    name = await _begin(view)
    await view.views.swap(name)
    assert await view.views.list_orders(1, None, 10) is None
    await view.generation(name).apply(_customer(1))
    for order_id in (2, 1, 3):
        await view.generation(name).apply(_order(1, order_id=order_id))
    assert await _listed(view, None, 2) == [3, 2]
    assert await _listed(view, 2, 2) == [1]
    customer, orders = await view.views.find_customer(1) or ({}, [])
    assert (customer["name"], [order["_id"] for order in orders]) == ("Jane", [3, 2, 1])


async def _listed(view: View, below: int | None, limit: int) -> list[int]:
    return [order["_id"] for order in await view.views.list_orders(1, below, limit) or ()]


async def test_a_wiped_view_has_no_answers(view: View) -> None:
    name = await _begin(view)
    await view.generation(name).apply(_customer(1))
    await view.views.swap(name)
    assert await view.views.find_customer(1) is not None
    view.wipe()
    with pytest.raises(ViewBeingBuilt):
        await view.views.find_customer(1)
