"""The customer service's SQL."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from pydantic import BaseModel

from messaging import outbox
from messaging.outbox import OutboxRow
from services.customer.domain import Customer, Reservation, ReservationState
from web import idempotency

INSERT_CUSTOMER = "INSERT INTO customers (name, credit_limit_cents) VALUES ($1, $2) RETURNING id"

COLUMNS = "id, name, credit_limit_cents, reserved_cents, version"

CUSTOMER = f"SELECT {COLUMNS} FROM customers WHERE id = $1"  # noqa: S608 - constants only

CUSTOMERS_PAGE = f"SELECT {COLUMNS} FROM customers WHERE id > $1 ORDER BY id LIMIT $2"  # noqa: S608

# One lock for each customer and batch, taken in the order of the ids: a hot customer costs one lock,
# and two batches cannot wait for each other in a circle.
LOCK_CUSTOMERS = f"SELECT {COLUMNS} FROM customers WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE"  # noqa: S608

# Shared: nobody may change the state between reading and sending it, but others may read it too.
LOCK_NEXT_CUSTOMERS = f"SELECT {COLUMNS} FROM customers WHERE id > $1 ORDER BY id LIMIT $2 FOR SHARE"  # noqa: S608

STORE_CUSTOMERS = """
UPDATE customers SET reserved_cents = new.reserved_cents, version = new.version
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS new (id, reserved_cents, version)
WHERE customers.id = new.id
"""

RESERVATIONS = """
SELECT order_id, customer_id, amount_cents, state FROM credit_reservations WHERE order_id = ANY($1::bigint[])
"""

# Without ON CONFLICT: a decision is made once, and an instance that decides the same order at
# the same moment has to fail, look again and find the other's.
INSERT_RESERVATIONS = """
INSERT INTO credit_reservations (order_id, customer_id, amount_cents, state)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])
"""

RELEASE_RESERVATIONS = """
UPDATE credit_reservations SET state = 'RELEASED' WHERE order_id = ANY($1::bigint[]) AND state = 'RESERVED'
"""


class Transaction:
    """What can be done inside of one transaction, events and idempotency keys included."""

    def __init__(self, connection: PoolConnectionProxy) -> None:
        self._connection = connection

    async def insert_customer(self, name: str, credit_limit: int) -> Customer:
        """Stores a new customer; the limit is in cents."""
        customer_id = await self._connection.fetchval(INSERT_CUSTOMER, name, credit_limit)
        return Customer(customer_id, name, credit_limit)

    async def lock_customers(self, ids: Collection[int]) -> dict[int, Customer]:
        """The customers that exist, by id, locked until the transaction ends."""
        rows = await self._connection.fetch(LOCK_CUSTOMERS, list(ids))
        return {row["id"]: _customer(row) for row in rows}

    async def lock_next_customers(self, after: int, limit: int) -> list[Customer]:
        """Customers with ids above `after`, in the order of their ids; nobody changes them until the end."""
        return [_customer(row) for row in await self._connection.fetch(LOCK_NEXT_CUSTOMERS, after, limit)]

    async def find_reservations(self, order_ids: Collection[int]) -> dict[int, Reservation]:
        """What was decided for these orders, by order id. Call it after the customers are locked."""
        rows = await self._connection.fetch(RESERVATIONS, list(order_ids))
        return {row["order_id"]: _reservation(row) for row in rows}

    async def store_customers(self, customers: Collection[Customer]) -> None:
        """Stores the new credit of locked customers."""
        await self._connection.execute(
            STORE_CUSTOMERS,
            [c.id for c in customers],
            [c.reserved for c in customers],
            [c.version for c in customers],
        )

    async def insert_reservations(self, reservations: Collection[Reservation]) -> None:
        """Stores first decisions.

        Raises:
            asyncpg.UniqueViolationError: another transaction decided on one of the orders meanwhile.
        """
        await self._connection.execute(
            INSERT_RESERVATIONS,
            [r.order_id for r in reservations],
            [r.customer_id for r in reservations],
            [r.amount for r in reservations],
            [r.state.value for r in reservations],
        )

    async def release_reservations(self, order_ids: Collection[int]) -> None:
        """Turns RESERVED into RELEASED."""
        await self._connection.execute(RELEASE_RESERVATIONS, list(order_ids))

    async def append(self, rows: Sequence[OutboxRow]) -> None:
        """Adds events to the outbox."""
        await outbox.append(self._connection, rows)

    async def claim(self, key: str, body: BaseModel) -> Any | None:
        """Claims an idempotency key, or returns the first answer to it."""
        return await idempotency.claim(self._connection, key, body)

    async def keep(self, key: str, answer: Any) -> None:
        """Keeps the answer to a claimed key."""
        await idempotency.keep(self._connection, key, answer)


class Repository:
    """The customer database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commits on the way out, unless an exception passes."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield Transaction(connection)

    async def find_customer(self, customer_id: int) -> Customer | None:
        """The customer as last committed; None if there is no such customer."""
        row = await self._pool.fetchrow(CUSTOMER, customer_id)
        return _customer(row) if row else None

    async def list_customers(self, after: int, limit: int) -> list[Customer]:
        """Customers with ids above `after`, in the order of their ids."""
        return [_customer(row) for row in await self._pool.fetch(CUSTOMERS_PAGE, after, limit)]


def _customer(row: asyncpg.Record) -> Customer:
    return Customer(row["id"], row["name"], row["credit_limit_cents"], row["reserved_cents"], row["version"])


def _reservation(row: asyncpg.Record) -> Reservation:
    return Reservation(row["order_id"], row["customer_id"], row["amount_cents"], ReservationState(row["state"]))
