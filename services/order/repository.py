"""The order service's SQL."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from pydantic import BaseModel

from messaging import outbox
from messaging.outbox import OutboxRow
from services.order.domain import Order, OrderState, RejectionReason
from web import idempotency

COLUMNS = "id, customer_id, total_cents, state, rejection_reason, version"

# In the order given, so that the ids tell which row is whose.
INSERT_ORDERS = """
INSERT INTO orders (customer_id, total_cents, state, version)
SELECT customer_id, total_cents, 'PENDING', 1
FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS new (customer_id, total_cents, place) ORDER BY place
RETURNING id
"""

ORDER = f"SELECT {COLUMNS} FROM orders WHERE id = $1"  # noqa: S608 - constants only

LOCK_ORDERS = f"SELECT {COLUMNS} FROM orders WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE"  # noqa: S608

# Those that a decision is being made about right now are left to it.
LOCK_OVERDUE_ORDERS = f"""
SELECT {COLUMNS} FROM orders WHERE state = 'PENDING' AND created_at < now() - $1::interval
ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""  # noqa: S608

# Shared: nobody may change the state between reading and sending it, but others may read it too.
LOCK_NEXT_ORDERS = f"SELECT {COLUMNS} FROM orders WHERE id > $1 ORDER BY id LIMIT $2 FOR SHARE"  # noqa: S608

STORE_ORDERS = """
UPDATE orders SET state = new.state, rejection_reason = new.rejection_reason, version = new.version
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS new (id, state, rejection_reason, version)
WHERE orders.id = new.id
"""

# One statement for each set of filters, so that each gets the index that serves it.
ORDERS_PAGE = f"SELECT {COLUMNS} FROM orders WHERE id > $1 {{filters}} ORDER BY id LIMIT $2"  # noqa: S608


class Transaction:
    """What can be done inside of one transaction, events and idempotency keys included."""

    def __init__(self, connection: PoolConnectionProxy) -> None:
        self._connection = connection

    async def insert_orders(self, wanted: Sequence[tuple[int, int]]) -> list[Order]:
        """Stores new, pending orders, each of a customer's id and a total in cents; returns them in the order given."""
        rows = await self._connection.fetch(INSERT_ORDERS, [of for of, _ in wanted], [total for _, total in wanted])
        ids = sorted(row["id"] for row in rows)
        return [Order(order_id, *order) for order_id, order in zip(ids, wanted, strict=True)]

    async def lock_orders(self, ids: Collection[int]) -> dict[int, Order]:
        """The orders that can be seen, by id, locked in the order of their ids until the transaction ends."""
        return {row["id"]: _order(row) for row in await self._connection.fetch(LOCK_ORDERS, list(ids))}

    async def lock_overdue_orders(self, deadline: timedelta, limit: int) -> list[Order]:
        """The longest pending orders of those older than the deadline, locked; not those locked by others."""
        return [_order(row) for row in await self._connection.fetch(LOCK_OVERDUE_ORDERS, deadline, limit)]

    async def lock_next_orders(self, after: int, limit: int) -> list[Order]:
        """Orders with ids above `after`, in the order of their ids; nobody changes them until the end."""
        return [_order(row) for row in await self._connection.fetch(LOCK_NEXT_ORDERS, after, limit)]

    async def store_orders(self, orders: Collection[Order]) -> None:
        """Stores the new states of locked orders."""
        await self._connection.execute(
            STORE_ORDERS,
            [o.id for o in orders],
            [o.state.value for o in orders],
            [o.rejection_reason.value if o.rejection_reason else None for o in orders],
            [o.version for o in orders],
        )

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
    """The order database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commits on the way out, unless an exception passes."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield Transaction(connection)

    async def find_order(self, order_id: int) -> Order | None:
        """The order as last committed; None if there is no such order."""
        row = await self._pool.fetchrow(ORDER, order_id)
        return _order(row) if row else None

    async def list_orders(
        self, after: int, limit: int, customer_id: int | None, state: OrderState | None
    ) -> list[Order]:
        """Orders with ids above `after`, in the order of their ids, of one customer and state if given."""
        wanted = [("customer_id", customer_id), ("state", state)]
        values = [(column, value) for column, value in wanted if value is not None]
        filters = " ".join(f"AND {column} = ${number}" for number, (column, _) in enumerate(values, 3))
        query = ORDERS_PAGE.format(filters=filters)
        rows = await self._pool.fetch(query, after, limit, *(value for _, value in values))
        return [_order(row) for row in rows]


def _order(row: asyncpg.Record) -> Order:
    reason = row["rejection_reason"]
    return Order(
        row["id"],
        row["customer_id"],
        row["total_cents"],
        OrderState(row["state"]),
        RejectionReason(reason) if reason else None,
        row["version"],
    )
