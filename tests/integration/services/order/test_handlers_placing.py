"""Placing orders in groups, with and without idempotency keys, on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest

from contracts.money import PositiveMoney
from services.order.handlers import Placement, create_orders
from services.order.repository import Repository, Transaction
from services.order.requests import CreateOrder
from storage.idempotency import KeyBusy, KeyExpired, KeyReused, StoredAnswer, fingerprint
from tests.engines import migrate_database
from tests.eventually import eventually_async

CLAIM = "INSERT INTO idempotency_keys (key, fingerprint, answer) VALUES ($1, $2, to_json($3::bigint))"
BLOCKED = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@pytest.fixture
async def repository(database: str, pool: asyncpg.Pool) -> Repository:
    await migrate_database(database, "order")
    return Repository(pool)


def _order(customer_id: int, total: int = 100, key: str | None = None) -> Placement:
    return Placement(CreateOrder(customer_id=customer_id, order_total=PositiveMoney.of(total)), key=key)


async def _place(repository: Repository, *placements: Placement) -> list[int]:
    """The ids of orders, none of which is refused."""
    ids = [outcome for outcome in await create_orders(repository, placements) if isinstance(outcome, int)]
    assert len(ids) == len(placements)
    return ids


async def _stored(pool: asyncpg.Pool, ids: Sequence[int]) -> list[tuple[int, int]]:
    """Customer and total of these orders."""
    rows = await pool.fetch("SELECT id, customer_id, total_cents FROM orders")
    orders = {row["id"]: (row["customer_id"], row["total_cents"]) for row in rows}
    return [orders[order_id] for order_id in ids]


async def _count(pool: asyncpg.Pool) -> tuple[int, int]:
    """The number of orders, and of their events."""
    orders: int = await pool.fetchval("SELECT count(*) FROM orders")
    events: int = await pool.fetchval("SELECT count(*) FROM outbox")
    return orders, events


async def test_each_request_of_a_group_gets_the_id_of_its_own_order(pool: asyncpg.Pool, repository: Repository) -> None:
    group = [_order(3, 300, "c"), _order(1, 100), _order(2, 200, "a"), _order(4, 400), _order(5, 500, "b")]
    ids = await _place(repository, *group)
    assert await _stored(pool, ids) == [(3, 300), (1, 100), (2, 200), (4, 400), (5, 500)]
    assert len(set(ids)) == 5


async def test_each_order_of_a_group_has_its_own_event(pool: asyncpg.Pool, repository: Repository) -> None:
    ids = await _place(repository, _order(3, key="b"), _order(1), _order(2, key="a"))
    rows = await pool.fetch("SELECT aggregateid, type, (payload->>'customerId')::bigint AS customer FROM outbox")
    assert {(int(row["aggregateid"]), row["type"], row["customer"]) for row in rows} == {
        (order_id, "OrderCreated", customer) for order_id, customer in zip(ids, (3, 1, 2), strict=True)
    }


async def test_two_requests_without_a_key_are_two_orders_even_if_they_are_equal(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    first, second = await _place(repository, _order(1), _order(1))
    assert first != second
    assert await _count(pool) == (2, 2)


async def test_the_same_key_twice_in_a_group_is_one_order(pool: asyncpg.Pool, repository: Repository) -> None:
    first, other, again = await _place(repository, _order(1, key="a"), _order(2, key="b"), _order(1, key="a"))
    assert first == again != other
    assert await _count(pool) == (2, 2)


async def test_the_same_key_with_another_body_in_a_group_fails_only_that_request(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    group = [_order(1, key="a"), _order(2), _order(9, key="a"), _order(1, key="a"), _order(3, key="b")]
    outcomes = await create_orders(repository, group)
    assert isinstance(outcomes[2], KeyReused)
    ids = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert await _stored(pool, ids) == [(1, 100), (2, 100), (1, 100), (3, 100)]
    assert await _count(pool) == (3, 3)


async def test_each_stored_key_is_answered_with_its_own_order(pool: asyncpg.Pool, repository: Repository) -> None:
    placements = [_order(number, 100 * number, str(number)) for number in range(1, 6)]
    ids = await _place(repository, *placements)
    again = await _place(repository, *reversed(placements), _order(6, 600))
    assert again[:-1] == ids[::-1]
    assert await _stored(pool, again) == [*((n, 100 * n) for n in range(5, 0, -1)), (6, 600)]
    assert await _count(pool) == (6, 6)


async def test_a_stored_key_with_another_body_fails_only_that_request(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    [first] = await _place(repository, _order(1, key="a"))
    refused, again, new = await create_orders(repository, [_order(2, key="a"), _order(1, key="a"), _order(3, key="b")])
    assert isinstance(refused, KeyReused)
    assert again == first != new
    assert await _count(pool) == (2, 2)


@pytest.mark.parametrize("round_", range(3))
async def test_groups_at_once_with_the_same_keys_in_another_order_place_one_order_for_each_key(
    pool: asyncpg.Pool, repository: Repository, round_: int
) -> None:
    group = [_order(number, key=f"key-{number}") for number in range(50)]
    turned = group[round_:] + group[:round_]
    first, second, third = await asyncio.gather(
        _place(repository, *group), _place(repository, *reversed(group)), _place(repository, *turned)
    )
    assert first == second[::-1] == third[50 - round_ :] + third[: 50 - round_]
    assert await _count(pool) == (50, 50)


async def test_keys_are_claimed_in_their_order_so_that_groups_at_once_cannot_deadlock(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    async with pool.acquire() as other, other.transaction():
        await other.execute(CLAIM, "m", b"", 77)
        placing = asyncio.create_task(create_orders(repository, [_order(1, key="z"), _order(2, key="m")]))
        await _wait_until_blocked(pool)
        # The group waits for m, and must not hold z meanwhile: a group that holds m and asks for z would wait for it.
        await other.execute("SET LOCAL lock_timeout = '200ms'")
        assert await other.execute(f"{CLAIM} ON CONFLICT DO NOTHING", "z", b"", 78) == "INSERT 0 1"
    assert [type(outcome) for outcome in await placing] == [KeyReused, KeyReused]


async def test_a_key_that_another_transaction_is_claiming_is_answered_with_its_order_after_its_commit(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    placement = _order(1, key="a")
    async with pool.acquire() as other, other.transaction():
        await other.execute(CLAIM, "a", fingerprint(placement.command), 77)
        placing = asyncio.create_task(create_orders(repository, [_order(2), placement]))
        await _wait_until_blocked(pool)
    new, stored = await placing
    assert (isinstance(new, int), stored) == (True, 77)
    assert await _count(pool) == (1, 1)


async def test_a_key_that_another_transaction_holds_for_long_fails_its_own_requests_only(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    async with pool.acquire() as other, other.transaction():
        await other.execute(CLAIM, "m", b"", 77)
        group = [_order(1), _order(2, key="m"), _order(3, key="z"), _order(4)]
        outcomes = await create_orders(repository, group)
    assert [type(outcome) for outcome in outcomes] == [int, KeyBusy, int, int]
    assert await _count(pool) == (3, 3)


async def test_a_key_that_was_claimed_by_a_transaction_that_rolls_back_is_free(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    placement = _order(1, key="a")
    async with pool.acquire() as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute(CLAIM, "a", b"of another body", 77)
        placing = asyncio.create_task(_place(repository, placement))
        await _wait_until_blocked(pool)
        await transaction.rollback()
    [order_id] = await placing
    assert await _stored(pool, [order_id]) == [(1, 100)]
    assert await _place(repository, placement) == [order_id]


async def _wait_until_blocked(pool: asyncpg.Pool) -> None:
    async def check() -> None:
        assert await pool.fetchval(BLOCKED) == 1

    await eventually_async(check)


async def test_a_key_that_expires_while_its_request_is_carried_out_fails_only_that_request(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    await _place(repository, _order(1, key="a"), _order(2, key="b"))
    expired, stored, new = await create_orders(
        Expiring(pool, "a"), [_order(1, key="a"), _order(2, key="b"), _order(3, key="c")]
    )
    assert isinstance(expired, KeyExpired)
    assert await _stored(pool, [_id(stored), _id(new)]) == [(2, 100), (3, 100)]
    [retried] = await _place(repository, _order(1, key="a"))
    assert await _stored(pool, [retried]) == [(1, 100)]


class Expiring(Repository):
    """The order database, from which a key is deleted between the claim of the keys and the look at their answers."""

    def __init__(self, pool: asyncpg.Pool, key: str) -> None:
        super().__init__(pool)
        self._database, self._key = pool, key

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with super().transaction() as transaction:
            find = transaction.stored_answers

            async def delete_and_find(keys: Collection[str]) -> dict[str, StoredAnswer]:
                await self._database.execute("DELETE FROM idempotency_keys WHERE key = $1", self._key)
                return await find(keys)

            transaction.stored_answers = delete_and_find  # type: ignore[method-assign]
            yield transaction


def _id(outcome: int | Exception) -> int:
    assert isinstance(outcome, int)
    return outcome


async def test_a_group_that_fails_places_nothing_and_claims_no_key(pool: asyncpg.Pool, repository: Repository) -> None:
    await pool.execute("ALTER TABLE outbox ADD CONSTRAINT refused CHECK (aggregateid <> '2')")
    group = [_order(1, key="a"), _order(2, key="b"), _order(3)]
    with pytest.raises(asyncpg.CheckViolationError):
        await create_orders(repository, group)
    assert await _count(pool) == (0, 0)
    assert await pool.fetchval("SELECT count(*) FROM idempotency_keys") == 0
