"""Convergence with the real handlers, PostgreSQL and MongoDB.

The test itself is the road between them: it takes the events from the outboxes and delivers them in any order,
more than once, in batches of any size. Whatever it does, the three services have to agree in the end, and
no customer's credit may ever be exceeded on the way.
"""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.native import Stack
from messaging.postgres import apply_schema, open_pool
from services.customer.app import SCHEMA as CUSTOMER_SCHEMA
from services.history.views import Views
from services.order.app import SCHEMA as ORDER_SCHEMA
from tests.property.world import UNKNOWN_CUSTOMER, World


async def _fresh_database(admin_url: str, name: str, schema: str) -> asyncpg.Pool:
    admin = await asyncpg.connect(admin_url)
    try:
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.execute(f"CREATE DATABASE {name}")
    finally:
        await admin.close()
    pool = await open_pool(admin_url.rsplit("/", 1)[0] + f"/{name}", "property test")
    await apply_schema(pool, schema)
    return pool


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def world(stack: Stack, runner: asyncio.Runner) -> Iterator[World]:
    admin_url = stack.environment("keeper")["POSTGRES_URL"]
    customers = runner.run(_fresh_database(admin_url, "property_customer", CUSTOMER_SCHEMA))
    orders = runner.run(_fresh_database(admin_url, "property_order", ORDER_SCHEMA))
    admin_of_views = stack.environment("keeper")["MONGODB_ADMIN_URL"]
    views = runner.run(_open_views(_database_url(admin_of_views, "property")))
    yield World(customers, orders, views.generation("only"))
    views.close()
    runner.run(customers.close())
    runner.run(orders.close())


async def _open_views(url: str) -> Views:
    # Inside of the loop that will use it: the driver takes hold of the running one.
    views = Views(url)
    await views.generation("only").prepare()
    return views


def _database_url(url: str, database: str) -> str:
    server, _, rest = url.removeprefix("mongodb://").partition("/")
    options = rest.partition("?")[2] or "authSource=admin"
    return f"mongodb://{server}/{database}?{options}"


@dataclass(frozen=True)
class Plan:
    """What is done, apart from its order: that, and every delivery, comes from the seed."""

    limits: list[int]
    orders: list[tuple[int, int]]
    cancels: int
    deadlines: int
    moves: int
    seed: int


PLANS = st.builds(
    Plan,
    limits=st.lists(st.integers(0, 20), min_size=1, max_size=3),
    orders=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 12)), min_size=1, max_size=8),
    cancels=st.integers(0, 5),
    deadlines=st.integers(0, 2),
    moves=st.integers(0, 12),
    seed=st.integers(0, 2**32),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=PLANS)
def test_services_converge_whatever_the_order_the_repetition_and_the_batching_of_events(
    world: World, runner: asyncio.Runner, plan: Plan
) -> None:
    runner.run(_drive(world, plan, random.Random(plan.seed)))


async def _drive(world: World, plan: Plan, chance: random.Random) -> None:
    await world.clear()
    for limit in plan.limits:
        await world.create_customer(limit)
    placed: list[int] = []
    to_place = list(plan.orders)
    actions = (
        ["place"] * len(plan.orders) + ["cancel"] * plan.cancels + ["deadline"] * plan.deadlines + ["move"] * plan.moves
    )
    chance.shuffle(actions)
    for action in actions:
        if action == "place":
            which, total = to_place.pop()
            customer_id = which + 1 if which < len(plan.limits) else UNKNOWN_CUSTOMER
            placed.append(await world.create_order(customer_id, total))
        elif action == "cancel" and placed:
            await world.cancel(chance.choice(placed))
        elif action == "deadline":
            await world.reject_overdue()
        else:
            await world.move(chance)
    await world.drain(chance)
    await world.assert_converged()
