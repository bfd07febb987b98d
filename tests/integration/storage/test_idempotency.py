"""Claiming, answering and forgetting idempotency keys on a real PostgreSQL."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from contracts.money import PositiveMoney
from services.order.requests import CreateOrder
from storage import idempotency
from storage.idempotency import KeyReused, fingerprint
from tests.engines import migrate_database

RETENTION = timedelta(hours=1)
AGE = "UPDATE idempotency_keys SET created_at = now() - $1::interval WHERE key = ANY($2::text[])"

BODY = fingerprint(CreateOrder(customer_id=1, order_total=PositiveMoney.of(400)))
OTHER_BODY = fingerprint(CreateOrder(customer_id=2, order_total=PositiveMoney.of(400)))


@pytest.fixture(autouse=True)
async def _schema(database: str) -> None:
    await migrate_database(database, "order")


async def _ask(pool: asyncpg.Pool, key: str, answer: int, body: bytes = BODY) -> int:
    """The answer to a request with the key: `answer` if it is the first one."""
    async with pool.acquire() as connection, connection.transaction():
        if await idempotency.claim(connection, key, body):
            await idempotency.store(connection, key, answer)
            return answer
        return int((await idempotency.stored_answers(connection, [key]))[key].to(body))


async def _claim_and_fail(pool: asyncpg.Pool, key: str) -> None:
    async with pool.acquire() as connection, connection.transaction():
        assert await idempotency.claim(connection, key, BODY)
        raise ZeroDivisionError


async def test_the_first_answer_is_repeated_until_the_key_has_expired(pool: asyncpg.Pool) -> None:
    assert await _ask(pool, "a", answer=1) == 1
    await pool.execute(AGE, RETENTION - timedelta(minutes=1), ["a"])
    assert await idempotency.delete_expired(pool, RETENTION) == 0
    assert await _ask(pool, "a", answer=2) == 1
    await pool.execute(AGE, RETENTION + timedelta(minutes=1), ["a"])
    assert await idempotency.delete_expired(pool, RETENTION) == 1
    assert await _ask(pool, "a", answer=3) == 3


async def test_a_key_with_another_body_is_refused_until_the_key_has_expired(pool: asyncpg.Pool) -> None:
    await _ask(pool, "a", answer=1)
    with pytest.raises(KeyReused, match="another body"):
        await _ask(pool, "a", answer=2, body=OTHER_BODY)
    await pool.execute(AGE, RETENTION * 2, ["a"])
    await idempotency.delete_expired(pool, RETENTION)
    assert await _ask(pool, "a", answer=2, body=OTHER_BODY) == 2


async def test_a_key_is_claimed_by_one_of_many_transactions_at_once(pool: asyncpg.Pool) -> None:
    answers = await asyncio.gather(*(_ask(pool, "a", answer) for answer in range(8)))
    assert len(set(answers)) == 1


async def test_a_key_that_was_claimed_by_a_transaction_that_rolled_back_is_free(pool: asyncpg.Pool) -> None:
    with pytest.raises(ZeroDivisionError):
        await _claim_and_fail(pool, "a")
    assert await _ask(pool, "a", answer=2, body=OTHER_BODY) == 2


async def test_an_unknown_key_has_no_stored_answer(pool: asyncpg.Pool) -> None:
    await _ask(pool, "a", answer=1)
    async with pool.acquire() as connection:
        assert (await idempotency.stored_answers(connection, ["a", "b"])).keys() == {"a"}


async def test_expired_keys_are_deleted_in_bounded_batches_and_the_others_kept(pool: asyncpg.Pool) -> None:
    for number in range(12):
        await _ask(pool, str(number), answer=number)
    old = [str(number) for number in range(0, 12, 2)]
    await pool.execute(AGE, RETENTION * 2, old)
    assert [await idempotency.delete_expired(pool, RETENTION, batch=4) for _ in range(3)] == [4, 2, 0]
    left = await pool.fetch("SELECT key FROM idempotency_keys")
    assert sorted(int(row["key"]) for row in left) == list(range(1, 12, 2))
