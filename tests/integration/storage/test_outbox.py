"""The outbox on a real PostgreSQL."""

from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from storage import outbox
from storage.outbox import OutboxOutsideTransaction, OutboxRow
from tests.builders import TRACEPARENT
from tests.engines import migrate_database

AGE = "UPDATE outbox SET created_at = now() - $1::interval WHERE aggregateid = ANY($2::text[])"


@pytest.fixture(autouse=True)
async def _schema(database: str) -> None:
    await migrate_database(database, "order")


def _rows(*ids: int) -> list[OutboxRow]:
    return [OutboxRow("order", str(number), "OrderCreated", b'{"n": %d}' % number, TRACEPARENT) for number in ids]


async def _append(pool: asyncpg.Pool, rows: list[OutboxRow]) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await outbox.append(connection, rows)


async def _append_and_fail(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await outbox.append(connection, _rows(1))
        raise ZeroDivisionError


async def _kept(pool: asyncpg.Pool) -> list[int]:
    return [int(row["aggregateid"]) for row in await pool.fetch("SELECT aggregateid FROM outbox ORDER BY id")]


async def test_an_event_outside_of_a_transaction_is_refused(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        with pytest.raises(OutboxOutsideTransaction):
            await outbox.append(connection, _rows(1))
    assert await _kept(pool) == []


async def test_an_event_is_rolled_back_with_its_cause(pool: asyncpg.Pool) -> None:
    with pytest.raises(ZeroDivisionError):
        await _append_and_fail(pool)
    assert await _kept(pool) == []


async def test_events_keep_their_order_within_a_batch_and_from_batch_to_batch(pool: asyncpg.Pool) -> None:
    await _append(pool, _rows(*range(500)))
    await _append(pool, _rows(*range(500, 520)))
    assert await _kept(pool) == list(range(520))


async def test_a_row_holds_what_was_given(pool: asyncpg.Pool) -> None:
    await _append(pool, _rows(1))
    [row] = await pool.fetch("SELECT aggregatetype, aggregateid, type, payload, traceparent FROM outbox")
    assert tuple(row) == ("order", "1", "OrderCreated", '{"n": 1}', TRACEPARENT)


@pytest.mark.parametrize(
    ("row", "constraint"),
    [
        (replace(_rows(1)[0], payload=b'"%s"' % (b"x" * 65_535)), "an_event_is_small"),
        (replace(_rows(1)[0], type="x" * 4_096), "an_event_is_small"),
        (replace(_rows(1)[0], aggregate_type="customer"), "an_event_has_a_topic"),
    ],
    ids=["payload", "headers", "topic"],
)
async def test_an_event_that_kafka_would_refuse_is_refused_with_its_cause(
    pool: asyncpg.Pool, row: OutboxRow, constraint: str
) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match=constraint):
        await _append(pool, [*_rows(1), row])
    assert await _kept(pool) == []


@pytest.mark.parametrize("text", [b"\\ud800", b"\\u0000"], ids=["half a character", "zero"])
async def test_an_event_that_nobody_can_read_is_refused_with_its_cause(pool: asyncpg.Pool, text: bytes) -> None:
    with pytest.raises(asyncpg.DataError, match=r"Unicode|json"):
        await _append(pool, [*_rows(1), replace(_rows(1)[0], payload=b'{"name": "%s"}' % text)])
    assert await _kept(pool) == []


async def test_an_event_may_have_64_kibibytes(pool: asyncpg.Pool) -> None:
    await _append(pool, [replace(_rows(1)[0], payload=b'"%s"' % (b"x" * 65_534))])
    assert await _kept(pool) == [1]


async def test_only_expired_rows_are_deleted(pool: asyncpg.Pool) -> None:
    await _append(pool, _rows(*range(10)))
    await pool.execute(AGE, timedelta(hours=2), ["1", "3", "5"])
    assert await outbox.delete_expired(pool, timedelta(hours=1)) == 3
    assert await _kept(pool) == [0, 2, 4, 6, 7, 8, 9]


async def test_expired_rows_are_deleted_in_bounded_batches(pool: asyncpg.Pool) -> None:
    await _append(pool, _rows(*range(25)))
    await pool.execute(AGE, timedelta(hours=2), [str(number) for number in range(25)])
    batches = [await outbox.delete_expired(pool, timedelta(hours=1), batch=10) for _ in range(4)]
    assert batches == [10, 10, 5, 0]


async def test_only_inserts_into_the_outbox_are_published(pool: asyncpg.Pool) -> None:
    [publication] = await pool.fetch("SELECT * FROM pg_publication")
    actions = [publication[f"pub{action}"] for action in ("insert", "update", "delete", "truncate")]
    assert (publication["pubname"], actions) == ("order_outbox", [True, False, False, False])
    assert await pool.fetchval("SELECT array_agg(tablename::text) FROM pg_publication_tables") == ["outbox"]
