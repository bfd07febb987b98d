"""The customer service's SQL. Implements services.customer.ports."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from services.customer.domain import Customer, Reservation, ReservationState
from storage import idempotency, outbox
from storage.idempotency import StoredAnswer
from storage.outbox import OutboxRow

INSERT_CUSTOMER = "INSERT INTO customers (name, credit_limit_cents) VALUES ($1, $2) RETURNING id"

COLUMNS = "id, name, credit_limit_cents, reserved_cents, version"

CUSTOMER = f"SELECT {COLUMNS} FROM customers WHERE id = $1"  # noqa: S608 - constants only

CUSTOMERS_PAGE = f"SELECT {COLUMNS} FROM customers WHERE id > $1 ORDER BY id LIMIT $2"  # noqa: S608

# Each batch locks each of its customers once, in the order of their ids: two batches cannot deadlock, and a customer
# with many orders costs one lock.
LOCK_CUSTOMERS = f"SELECT {COLUMNS} FROM customers WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE"  # noqa: S608

# FOR SHARE: the state must not change before its event is committed.
LOCK_NEXT_CUSTOMERS = f"SELECT {COLUMNS} FROM customers WHERE id > $1 ORDER BY id LIMIT $2 FOR SHARE"  # noqa: S608

STORE_CUSTOMERS = """
UPDATE customers SET reserved_cents = new.reserved_cents, version = new.version
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS new (id, reserved_cents, version)
WHERE customers.id = new.id
"""

RESERVATIONS = """
SELECT order_id, customer_id, amount_cents, state FROM credit_reservations WHERE order_id = ANY($1::bigint[])
"""

# No ON CONFLICT: each order is decided once. If two instances decide at the same moment, the second one must fail; its
# retry finds the first decision.
INSERT_RESERVATIONS = """
INSERT INTO credit_reservations (order_id, customer_id, amount_cents, state)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])
"""

RELEASE_RESERVATIONS = """
UPDATE credit_reservations SET state = 'RELEASED' WHERE order_id = ANY($1::bigint[]) AND state = 'RESERVED'
"""


class Transaction:
    """One transaction on the customer database."""

    def __init__(self, connection: PoolConnectionProxy) -> None:
        self._connection = connection

    async def insert_customer(self, name: str, credit_limit: int) -> Customer:
        customer_id = await self._connection.fetchval(INSERT_CUSTOMER, name, credit_limit)
        return Customer(customer_id, name, credit_limit)

    async def lock_customers(self, ids: Collection[int]) -> dict[int, Customer]:
        rows = await self._connection.fetch(LOCK_CUSTOMERS, list(ids))
        return {row["id"]: _customer(row) for row in rows}

    async def lock_next_customers(self, after: int, limit: int) -> list[Customer]:
        return [_customer(row) for row in await self._connection.fetch(LOCK_NEXT_CUSTOMERS, after, limit)]

    async def find_reservations(self, order_ids: Collection[int]) -> dict[int, Reservation]:
        rows = await self._connection.fetch(RESERVATIONS, list(order_ids))
        return {row["order_id"]: _reservation(row) for row in rows}

    async def store_customers(self, customers: Collection[Customer]) -> None:
        await self._connection.execute(
            STORE_CUSTOMERS,
            [c.id for c in customers],
            [c.reserved for c in customers],
            [c.version for c in customers],
        )

    async def insert_reservations(self, reservations: Collection[Reservation]) -> None:
        await self._connection.execute(
            INSERT_RESERVATIONS,
            [r.order_id for r in reservations],
            [r.customer_id for r in reservations],
            [r.amount for r in reservations],
            [r.state.value for r in reservations],
        )

    async def release_reservations(self, order_ids: Collection[int]) -> None:
        await self._connection.execute(RELEASE_RESERVATIONS, list(order_ids))

    async def append(self, rows: Sequence[OutboxRow]) -> None:
        await outbox.append(self._connection, rows)

    async def claim(self, key: str, fingerprint: bytes) -> bool:
        return await idempotency.claim(self._connection, key, fingerprint)

    async def store(self, key: str, answer: int) -> None:
        await idempotency.store(self._connection, key, answer)

    async def stored_answers(self, keys: Collection[str]) -> dict[str, StoredAnswer]:
        return await idempotency.stored_answers(self._connection, keys)


class Repository:
    """The customer database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._pool.acquire() as connection, connection.transaction():
            yield Transaction(connection)

    async def find_customer(self, customer_id: int) -> Customer | None:
        row = await self._pool.fetchrow(CUSTOMER, customer_id)
        return _customer(row) if row else None

    async def list_customers(self, after: int, limit: int) -> list[Customer]:
        return [_customer(row) for row in await self._pool.fetch(CUSTOMERS_PAGE, after, limit)]


def _customer(row: asyncpg.Record) -> Customer:
    return Customer(row["id"], row["name"], row["credit_limit_cents"], row["reserved_cents"], row["version"])


def _reservation(row: asyncpg.Record) -> Reservation:
    return Reservation(row["order_id"], row["customer_id"], row["amount_cents"], ReservationState(row["state"]))
