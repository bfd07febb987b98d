"""Credit decisions on a real PostgreSQL, many at once."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence

import asyncpg
import pytest

from contracts.money import Money
from messaging.envelope import Envelope
from messaging.errors import Undecodable, UnknownEventType
from runtime.retrying import retry_transient
from services.customer.handlers import create_customer, handle_order_events
from services.customer.repository import Repository
from services.customer.requests import CreateCustomer
from services.customer.service import HANDLER_TRANSIENT
from tests import builders
from tests.engines import migrate_database
from tests.eventually import eventually_async

RESERVED = "SELECT reserved_cents FROM customers WHERE id = $1"
RESERVATIONS = "SELECT order_id, state FROM credit_reservations ORDER BY order_id"


@pytest.fixture
async def repository(database: str, pool: asyncpg.Pool) -> Repository:
    await migrate_database(database, "customer")
    return Repository(pool)


async def _customer(repository: Repository, limit: int) -> int:
    return await create_customer(repository, CreateCustomer(name="Jane", credit_limit=Money.of(limit)), None, None)


async def _handle(repository: Repository, envelopes: Sequence[Envelope]) -> None:
    """As the consumer does: a transient error is retried."""
    async for attempt in retry_transient(HANDLER_TRANSIENT):
        with attempt:
            await handle_order_events(repository, envelopes)


async def _told(pool: asyncpg.Pool) -> Counter[str]:
    rows = await pool.fetch("SELECT type FROM outbox WHERE type <> 'CustomerCreated'")
    return Counter(row["type"] for row in rows)


async def test_concurrent_batches_for_one_customer_never_exceed_the_limit(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    customer = await _customer(repository, limit=1_000)
    orders = [builders.order_created(number, customer, total=100) for number in range(200)]
    batches = [[builders.envelope(order) for order in orders[start : start + 5]] for start in range(0, 200, 5)]
    await asyncio.gather(*(_handle(repository, batch) for batch in batches))
    assert await pool.fetchval(RESERVED, customer) == 1_000
    assert await _told(pool) == {"CreditReserved": 10, "CreditLimitExceeded": 190}


async def test_concurrent_batches_over_the_same_customers_in_any_order_do_not_deadlock(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    customers = [await _customer(repository, limit=10_000) for _ in range(6)]
    batches = [
        [
            builders.envelope(builders.order_created(10 * number + n, customer, total=1))
            for n, customer in enumerate(turn)
        ]
        for number in range(30)
        for turn in [customers[number % 6 :] + customers[: number % 6]]
    ]
    await asyncio.gather(*(handle_order_events(repository, batch) for batch in batches))
    assert [await pool.fetchval(RESERVED, customer) for customer in customers] == [30] * 6


async def test_a_redelivered_batch_changes_nothing(pool: asyncpg.Pool, repository: Repository) -> None:
    customer = await _customer(repository, limit=150)
    batch = [builders.envelope(builders.order_created(number, customer, total=100)) for number in (1, 2)]
    await handle_order_events(repository, batch)
    before = await _everything(pool)
    await handle_order_events(repository, batch)
    await handle_order_events(repository, batch[::-1] + batch)
    assert await _everything(pool) == before


async def test_the_same_batch_in_many_hands_at_once_is_decided_once(pool: asyncpg.Pool, repository: Repository) -> None:
    customer = await _customer(repository, limit=10_000)
    batch = [builders.envelope(builders.order_created(number, customer, total=100)) for number in range(20)]
    await asyncio.gather(*(_handle(repository, batch) for _ in range(8)))
    assert await pool.fetchval(RESERVED, customer) == 2_000
    assert await _told(pool) == {"CreditReserved": 20}


async def test_a_batch_of_five_hundred_for_a_hot_customer_locks_the_row_once(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    customer = await _customer(repository, limit=30_000)
    await pool.execute("CREATE TABLE updates (n int)")
    await pool.execute(COUNT_UPDATES)
    batch = [builders.envelope(builders.order_created(number, customer, total=100)) for number in range(500)]
    await handle_order_events(repository, batch)
    assert await _told(pool) == {"CreditReserved": 300, "CreditLimitExceeded": 200}
    assert await pool.fetchval("SELECT count(*) FROM updates") == 1
    assert await pool.fetchval("SELECT version FROM customers WHERE id = $1", customer) == 501


COUNT_UPDATES = """
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO updates VALUES (1); RETURN NULL; END';
CREATE TRIGGER note AFTER UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION note();
"""


async def test_two_that_decide_an_order_of_nobody_at_once_are_told_apart_by_the_key(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    order = [builders.envelope(builders.order_created(1, customer_id=-1))]
    async with pool.acquire() as other, other.transaction():
        await other.execute("INSERT INTO credit_reservations VALUES (1, -1, 1234, 'UNKNOWN_CUSTOMER')")
        deciding = asyncio.create_task(handle_order_events(repository, order))
        await _wait_until_blocked(pool)
    with pytest.raises(asyncpg.UniqueViolationError):
        await deciding
    await handle_order_events(repository, order)
    assert await _told(pool) == {}  # the other one told of it


async def _wait_until_blocked(pool: asyncpg.Pool) -> None:

    async def check() -> None:
        assert await pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") == 1

    await eventually_async(check)


async def test_a_cancellation_releases_the_credit_once(pool: asyncpg.Pool, repository: Repository) -> None:
    customer = await _customer(repository, limit=100)
    await handle_order_events(repository, [builders.envelope(builders.order_created(1, customer, total=100))])
    cancelled = builders.envelope(builders.order_cancelled(1, customer, total=100))
    await asyncio.gather(*(handle_order_events(repository, [cancelled]) for _ in range(5)))
    assert await pool.fetchval(RESERVED, customer) == 0
    assert [tuple(row) for row in await pool.fetch(RESERVATIONS)] == [(1, "RELEASED")]


async def test_a_cancellation_that_overtakes_its_order_keeps_it_from_credit(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    customer = await _customer(repository, limit=100)
    await handle_order_events(repository, [builders.envelope(builders.order_cancelled(1, customer, total=100))])
    await handle_order_events(repository, [builders.envelope(builders.order_created(1, customer, total=100))])
    assert await pool.fetchval(RESERVED, customer) == 0
    assert await _told(pool) == {}


async def test_an_order_and_its_cancellation_in_one_batch_leave_no_credit_reserved(
    pool: asyncpg.Pool, repository: Repository
) -> None:
    customer = await _customer(repository, limit=100)
    pair = [builders.order_created(1, customer, total=100), builders.order_cancelled(1, customer, total=100)]
    await handle_order_events(repository, [builders.envelope(event) for event in pair])
    assert await pool.fetchval(RESERVED, customer) == 0
    assert [tuple(row) for row in await pool.fetch(RESERVATIONS)] == [(1, "RELEASED")]


@pytest.mark.parametrize(
    ("event_type", "payload", "error"),
    [("OrderCreated", b"{}", Undecodable), ("OrderCreated", b"{", Undecodable), ("Odd", b"{}", UnknownEventType)],
)
async def test_a_batch_with_an_event_that_cannot_be_read_changes_nothing(
    pool: asyncpg.Pool, repository: Repository, event_type: str, payload: bytes, error: type[Exception]
) -> None:
    customer = await _customer(repository, limit=100)
    good = builders.envelope(builders.order_created(1, customer, total=100))
    with pytest.raises(error):
        await handle_order_events(repository, [good, Envelope("1", event_type, payload)])
    assert await pool.fetchval(RESERVED, customer) == 0


async def test_an_event_carries_the_trace_of_its_cause(pool: asyncpg.Pool, repository: Repository) -> None:
    order = builders.envelope(builders.order_created(1, -1), builders.TRACEPARENT)
    await handle_order_events(repository, [order])
    [row] = await pool.fetch("SELECT type, payload, traceparent FROM outbox")
    assert (row["type"], row["traceparent"]) == ("CustomerValidationFailed", builders.TRACEPARENT)
    assert json.loads(row["payload"])["orderId"] == 1


async def test_the_database_itself_refuses_to_exceed_a_limit(pool: asyncpg.Pool, repository: Repository) -> None:
    customer = await _customer(repository, limit=100)
    with pytest.raises(asyncpg.CheckViolationError, match="credit_limit_is_kept"):
        await pool.execute("UPDATE customers SET reserved_cents = 101 WHERE id = $1", customer)


async def _everything(pool: asyncpg.Pool) -> list[list[asyncpg.Record]]:
    tables = ("customers", "credit_reservations", "outbox")
    return [await pool.fetch(f"SELECT * FROM {table} ORDER BY 1") for table in tables]  # noqa: S608
