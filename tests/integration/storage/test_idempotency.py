"""How long an idempotency key is remembered, on a real PostgreSQL."""

from datetime import timedelta

import asyncpg
import pytest

from contracts.money import PositiveMoney
from services.order.requests import CreateOrder
from storage import idempotency
from tests.engines import migrate_database
from web.problems import Problem

RETENTION = timedelta(hours=1)
AGE = "UPDATE idempotency_keys SET created_at = now() - $1::interval WHERE key = ANY($2::text[])"

BODY = CreateOrder(customer_id=1, order_total=PositiveMoney.of(400))
OTHER_BODY = CreateOrder(customer_id=2, order_total=PositiveMoney.of(400))


@pytest.fixture(autouse=True)
async def _schema(database: str) -> None:
    await migrate_database(database, "order")


async def _ask(pool: asyncpg.Pool, key: str, answer: int, body: CreateOrder = BODY) -> int:
    """What a request with the key is answered: `answer`, if it is the first one."""
    async with pool.acquire() as connection, connection.transaction():
        kept = await idempotency.claim(connection, key, body)
        if kept is not None:
            return int(kept)
        await idempotency.keep(connection, key, answer)
        return answer


async def test_the_first_answer_is_given_until_the_key_has_expired(pool: asyncpg.Pool) -> None:
    assert await _ask(pool, "a", answer=1) == 1
    await pool.execute(AGE, RETENTION - timedelta(minutes=1), ["a"])
    assert await idempotency.delete_expired(pool, RETENTION) == 0
    assert await _ask(pool, "a", answer=2) == 1
    await pool.execute(AGE, RETENTION + timedelta(minutes=1), ["a"])
    assert await idempotency.delete_expired(pool, RETENTION) == 1
    assert await _ask(pool, "a", answer=3) == 3


async def test_an_expired_key_may_be_used_with_another_body(pool: asyncpg.Pool) -> None:
    await _ask(pool, "a", answer=1)
    with pytest.raises(Problem, match="another body"):
        await _ask(pool, "a", answer=2, body=OTHER_BODY)
    await pool.execute(AGE, RETENTION * 2, ["a"])
    await idempotency.delete_expired(pool, RETENTION)
    assert await _ask(pool, "a", answer=2, body=OTHER_BODY) == 2


async def test_keys_expire_each_for_itself_and_in_bounded_batches(pool: asyncpg.Pool) -> None:
    for number in range(12):
        await _ask(pool, str(number), answer=number)
    old = [str(number) for number in range(0, 12, 2)]
    await pool.execute(AGE, RETENTION * 2, old)
    assert [await idempotency.delete_expired(pool, RETENTION, batch=4) for _ in range(3)] == [4, 2, 0]
    left = await pool.fetch("SELECT key FROM idempotency_keys")
    assert sorted(int(row["key"]) for row in left) == list(range(1, 12, 2))
