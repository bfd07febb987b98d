"""The view on a real MongoDB: only a higher version is taken, whatever comes when and how often."""

import asyncio
import random
from collections.abc import Sequence

from contracts.money import Money
from messaging.retrying import until_possible
from services.history.events import CustomerState, OrderState, ViewEvent
from services.history.projection import project
from services.history.views import TRANSIENT_ERRORS, Views


def _customer(version: int = 1, name: str = "Jane") -> CustomerState:
    return CustomerState(customer_id=7, name=name, credit_limit=Money.of(10_000), version=version)


def _order(version: int = 1, order_id: int = 42, state: str = "PENDING") -> OrderState:
    return OrderState(order_id=order_id, customer_id=7, order_total=Money.of(400), state=state, version=version)


async def _apply(views: Views, *events: ViewEvent) -> None:
    await views.apply(project(events))


async def _states(views: Views) -> Sequence[tuple[int, str]]:
    return [(order["_id"], order["state"]) for order in await views.list_orders(7, None, 100)]


async def test_a_state_is_shown_as_it_was_told(views: Views) -> None:
    await _apply(views, _customer(), _order(state="PENDING"))
    found = await views.find_customer(7)
    customer = {"_id": 7, "name": "Jane", "creditLimit": 10_000, "version": 1}
    order = {"_id": 42, "customerId": 7, "total": 400, "state": "PENDING", "reason": None, "version": 1}
    assert found == (customer, [order])


async def test_a_higher_version_replaces_and_a_lower_or_equal_one_changes_nothing(views: Views) -> None:
    await _apply(views, _order(2, state="APPROVED"))
    await _apply(views, _order(1, state="PENDING"))
    await _apply(views, _order(2, state="REJECTED"))
    assert await _states(views) == [(42, "APPROVED")]
    await _apply(views, _order(3, state="CANCELLED"))
    assert await _states(views) == [(42, "CANCELLED")]


async def test_a_name_that_looks_like_an_expression_is_taken_as_it_is(views: Views) -> None:
    for version, name in enumerate(["$version", "$$ROOT", '{"$set": 1}'], 1):
        await _apply(views, _customer(version, name))
        found = await views.find_customer(7)
        assert found is not None
        assert found[0]["name"] == name


async def test_an_order_may_come_before_its_customer(views: Views) -> None:
    await _apply(views, _order())
    assert await views.find_customer(7) is None
    await _apply(views, _customer())
    found = await views.find_customer(7)
    assert found is not None
    assert [order["_id"] for order in found[1]] == [42]


async def test_batches_in_any_order_and_at_once_leave_the_newest_states(views: Views) -> None:
    chance = random.Random(7)
    events = [_order(version, number, f"STATE-{version}") for number in range(30) for version in range(1, 5)]
    events += chance.sample(events, 40)
    chance.shuffle(events)
    batches = [events[start : start + 8] for start in range(0, len(events), 8)]
    async with asyncio.TaskGroup() as instances:
        for batch in batches:
            instances.create_task(_apply_as_a_consumer(views, batch))
    assert await _states(views) == [(number, "STATE-4") for number in reversed(range(30))]


async def _apply_as_a_consumer(views: Views, batch: Sequence[ViewEvent]) -> None:
    async for attempt in until_possible(TRANSIENT_ERRORS):
        with attempt:
            await _apply(views, *batch)


async def test_the_newest_hundred_orders_are_on_the_customers_page_and_all_in_the_list(views: Views) -> None:
    await _apply(views, _customer(), *(_order(order_id=number) for number in range(130)))
    found = await views.find_customer(7)
    assert found is not None
    assert [order["_id"] for order in found[1]] == list(range(129, 29, -1))
    assert [order["_id"] for order in await views.list_orders(7, below=30, limit=100)] == list(range(29, -1, -1))


async def test_customers_are_counted(views: Views) -> None:
    assert await views.count_customers() == 0
    await _apply(views, _customer())
    assert await views.count_customers() == 1
