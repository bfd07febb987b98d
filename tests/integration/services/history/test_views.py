"""The view on a real MongoDB: only a higher version is taken, whatever comes when and how often."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import closing

import pytest
from pymongo import MongoClient

from contracts.money import Money
from runtime.retrying import retry_transient
from services.history.events import CustomerState, OrderState, ViewEvent
from services.history.generations import Generations
from services.history.projection import project
from services.history.views import TRANSIENT_ERRORS, Generation, ViewBeingBuilt, Views


def _customer(version: int = 1, name: str = "Jane") -> CustomerState:
    return CustomerState(customer_id=7, name=name, credit_limit=Money.of(10_000), version=version)


def _order(version: int = 1, order_id: int = 42, state: str = "PENDING") -> OrderState:
    return OrderState(order_id=order_id, customer_id=7, order_total=Money.of(400), state=state, version=version)


async def _apply(generation: Generation, *events: ViewEvent) -> None:
    await generation.apply(project(events))


async def _states(generation: Generation) -> Sequence[tuple[int, str]]:
    if await generation.find_customer(7) is None:
        await _apply(generation, _customer())
    return [(order["_id"], order["state"]) for order in await generation.list_orders(7, None, 100) or []]


async def test_a_state_is_shown_as_it_was_told(generation: Generation) -> None:
    await _apply(generation, _customer(), _order(state="PENDING"))
    found = await generation.find_customer(7)
    customer = {"_id": 7, "name": "Jane", "creditLimit": 10_000, "version": 1}
    order = {"_id": 42, "customerId": 7, "total": 400, "state": "PENDING", "reason": None, "version": 1}
    assert found == (customer, [order])


async def test_a_higher_version_replaces_and_a_lower_or_equal_one_changes_nothing(generation: Generation) -> None:
    await _apply(generation, _order(2, state="APPROVED"))
    await _apply(generation, _order(1, state="PENDING"))
    await _apply(generation, _order(2, state="REJECTED"))
    assert await _states(generation) == [(42, "APPROVED")]
    await _apply(generation, _order(3, state="CANCELLED"))
    assert await _states(generation) == [(42, "CANCELLED")]


async def test_a_name_that_looks_like_an_expression_is_taken_as_it_is(generation: Generation) -> None:
    for version, name in enumerate(["$version", "$$ROOT", '{"$set": 1}'], 1):
        await _apply(generation, _customer(version, name))
        found = await generation.find_customer(7)
        assert found is not None
        assert found[0]["name"] == name


async def test_an_order_may_come_before_its_customer(generation: Generation) -> None:
    await _apply(generation, _order())
    assert await generation.find_customer(7) is None
    await _apply(generation, _customer())
    found = await generation.find_customer(7)
    assert found is not None
    assert [order["_id"] for order in found[1]] == [42]


async def test_batches_in_any_order_and_at_once_leave_the_newest_states(generation: Generation) -> None:
    chance = random.Random(7)
    events = [_order(version, number, f"STATE-{version}") for number in range(30) for version in range(1, 5)]
    events += chance.sample(events, 40)
    chance.shuffle(events)
    batches = [events[start : start + 8] for start in range(0, len(events), 8)]
    async with asyncio.TaskGroup() as instances:
        for batch in batches:
            instances.create_task(_apply_as_a_consumer(generation, batch))
    assert await _states(generation) == [(number, "STATE-4") for number in reversed(range(30))]


async def _apply_as_a_consumer(generation: Generation, batch: Sequence[ViewEvent]) -> None:
    async for attempt in retry_transient(TRANSIENT_ERRORS):
        with attempt:
            await _apply(generation, *batch)


async def test_the_newest_hundred_orders_are_on_the_customers_page_and_all_in_the_list(generation: Generation) -> None:
    await _apply(generation, _customer(), *(_order(order_id=number) for number in range(130)))
    found = await generation.find_customer(7)
    assert found is not None
    assert [order["_id"] for order in found[1]] == list(range(129, 29, -1))
    rest = await generation.list_orders(7, below=30, limit=100)
    assert rest is not None
    assert [order["_id"] for order in rest] == list(range(29, -1, -1))


async def test_customers_are_counted(generation: Generation) -> None:
    assert await generation.count_customers() == 0
    await _apply(generation, _customer())
    assert await generation.count_customers() == 1


async def test_orders_of_a_customer_who_is_unknown_are_not_an_empty_list(generation: Generation) -> None:
    await _apply(generation, _order())
    assert await generation.list_orders(7, None, 100) is None
    await _apply(generation, _customer())
    assert await generation.list_orders(8, None, 100) is None


async def _begin(views: Views, *events: ViewEvent) -> str:
    name = await views.begin()
    assert name is not None
    await views.generation(name).prepare()
    await _apply(views.generation(name), *events)
    return name


async def test_while_the_first_generation_is_being_built_there_is_nothing_to_read(views: Views) -> None:
    first = await _begin(views, _customer())
    with pytest.raises(ViewBeingBuilt):
        await views.count_customers()
    await views.swap(first)
    assert await views.count_customers() == 1


async def test_reads_go_to_the_generation_that_was_swapped_in_by_another_instance(
    views: Views, mongodb_url: str
) -> None:
    await views.swap(await _begin(views, _customer()))
    assert await views.count_customers() == 1
    with closing(Views(mongodb_url)) as other:
        second = await _begin(other, _customer(), _order())
        assert await views.find_order(42) is None
        await other.swap(second)
    assert await views.find_order(42) is not None


class CountedViews(Views):
    """Counts the looks at the document that says which generation is live."""

    looks = 0

    async def look(self) -> Generations:
        self.looks += 1
        return await super().look()


async def test_a_read_of_a_known_live_generation_needs_one_look_after_it(mongodb_url: str) -> None:
    with closing(CountedViews(mongodb_url)) as views:
        await views.swap(await _begin(views, _customer()))
        assert await views.find_customer(7) is not None
        views.looks = 0
        for _ in range(3):
            assert await views.find_customer(7) is not None
        assert views.looks == 3


async def test_an_answer_of_a_generation_that_was_dropped_meanwhile_is_not_given(
    views: Views, mongodb_url: str
) -> None:
    first = await _begin(views, _customer())
    await views.swap(first)
    assert await views.count_customers() == 1
    with closing(Views(mongodb_url)) as other:
        await other.swap(await _begin(other, _customer(), _order()))
        await other.generation(first).drop()
    assert await views.find_customer(7) is not None


async def test_a_wiped_view_that_fills_again_by_its_old_consumer_is_not_shown(views: Views, mongodb_url: str) -> None:
    first = await _begin(views, _customer(), _order(order_id=41))
    await views.swap(first)
    assert await views.list_orders(7, None, 100) is not None
    await asyncio.to_thread(_drop_database, mongodb_url)
    await _apply(views.generation(first), _customer(2), _order())
    for read in (views.find_customer(7), views.list_orders(7, None, 100), views.find_order(42)):
        with pytest.raises(ViewBeingBuilt):
            await read
    with pytest.raises(ViewBeingBuilt):
        await views.count_customers()


def _drop_database(url: str) -> None:
    with MongoClient[dict[str, object]](url) as client:
        client.drop_database(client.get_default_database())


async def test_the_orders_of_a_customer_are_found_by_an_index(generation: Generation) -> None:
    await _apply(generation, _customer(), *(_order(order_id=number) for number in range(1, 20)))
    plan = await generation.orders.find({"customerId": 7}).sort("_id", -1).explain()
    assert "COLLSCAN" not in str(plan["queryPlanner"]["winningPlan"])
    assert "'customerId': 1, '_id': -1" in str(plan["queryPlanner"]["winningPlan"])
