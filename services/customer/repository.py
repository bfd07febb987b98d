"""The customer service's SQL."""

from collections.abc import Collection, Iterable

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from services.customer.domain import Customer, Reservation, ReservationState

Connection = PoolConnectionProxy

INSERT_CUSTOMER = "INSERT INTO customers (name, credit_limit_cents) VALUES ($1, $2) RETURNING id"

COLUMNS = "id, name, credit_limit_cents, reserved_cents, version"

CUSTOMER = f"SELECT {COLUMNS} FROM customers WHERE id = $1"  # noqa: S608 - constants only

CUSTOMERS_PAGE = f"SELECT {COLUMNS} FROM customers WHERE id > $1 ORDER BY id LIMIT $2"  # noqa: S608

# One lock for each customer and batch, taken in the order of the ids: a hot customer costs one lock,
# and two batches cannot wait for each other in a circle.
LOCK_CUSTOMERS = f"SELECT {COLUMNS} FROM customers WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE"  # noqa: S608

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


async def insert_customer(connection: Connection, name: str, credit_limit: int) -> Customer:
    """Stores a new customer; the limit is in cents."""
    customer_id = await connection.fetchval(INSERT_CUSTOMER, name, credit_limit)
    return Customer(customer_id, name, credit_limit)


async def find_customer(pool: asyncpg.Pool, customer_id: int) -> Customer | None:
    row = await pool.fetchrow(CUSTOMER, customer_id)
    return _customer(row) if row else None


async def list_customers(pool: asyncpg.Pool, after: int, limit: int) -> list[Customer]:
    """Customers with ids above `after`, in the order of their ids."""
    return [_customer(row) for row in await pool.fetch(CUSTOMERS_PAGE, after, limit)]


async def lock_customers(connection: Connection, ids: Collection[int]) -> dict[int, Customer]:
    """The customers that exist, by id, locked until the transaction ends."""
    return {row["id"]: _customer(row) for row in await connection.fetch(LOCK_CUSTOMERS, list(ids))}


async def find_reservations(connection: Connection, order_ids: Collection[int]) -> dict[int, Reservation]:
    """What was decided for these orders, by order id. Call it after the customers are locked."""
    rows = await connection.fetch(RESERVATIONS, list(order_ids))
    return {
        row["order_id"]: Reservation(
            row["order_id"], row["customer_id"], row["amount_cents"], ReservationState(row["state"])
        )
        for row in rows
    }


async def store_customers(connection: Connection, customers: Collection[Customer]) -> None:
    await connection.execute(
        STORE_CUSTOMERS,
        [c.id for c in customers],
        [c.reserved for c in customers],
        [c.version for c in customers],
    )


async def insert_reservations(connection: Connection, reservations: Collection[Reservation]) -> None:
    """Raises asyncpg.UniqueViolationError if another transaction decided one of the orders meanwhile."""
    await connection.execute(
        INSERT_RESERVATIONS,
        [r.order_id for r in reservations],
        [r.customer_id for r in reservations],
        [r.amount for r in reservations],
        [r.state.value for r in reservations],
    )


async def release_reservations(connection: Connection, order_ids: Iterable[int]) -> None:
    await connection.execute(RELEASE_RESERVATIONS, list(order_ids))


def _customer(row: asyncpg.Record) -> Customer:
    return Customer(row["id"], row["name"], row["credit_limit_cents"], row["reserved_cents"], row["version"])
