"""The order service's SQL. Implements services.order.ports."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from services.order.domain import Order, OrderState, RejectionReason
from services.order.ports import NewOrder
from storage import idempotency, outbox
from storage.idempotency import KeyBusy, StoredAnswer
from storage.outbox import OutboxRow

COLUMNS = "id, customer_id, total_cents, state, rejection_reason, version"

# One statement claims the keys and stores the orders: an order with a key costs no round trip more than one without.
# Keys are claimed in their order, so that two transactions with the same keys cannot deadlock.
# The lock timeout is short: an instance that hangs in the transaction of a key must not hold up other orders for long.
INSERT_ORDERS = """
WITH patience AS MATERIALIZED (
    SELECT set_config('lock_timeout', '1s', true)
), new AS (
    SELECT ordinal, customer_id, total_cents, key, fingerprint, nextval('orders_id_seq') AS id
    FROM patience, unnest($1::bigint[], $2::bigint[], $3::text[], $4::bytea[])
        WITH ORDINALITY AS new (customer_id, total_cents, key, fingerprint, ordinal)
    ORDER BY ordinal
), claimed AS (
    INSERT INTO idempotency_keys (key, fingerprint, answer)
    SELECT key, fingerprint, to_json(id) FROM new WHERE key IS NOT NULL ORDER BY key
    ON CONFLICT (key) DO NOTHING RETURNING key
), placed AS (
    INSERT INTO orders (id, customer_id, total_cents, state, version)
    SELECT id, customer_id, total_cents, 'PENDING', 1 FROM new WHERE key IS NULL OR key IN (SELECT key FROM claimed)
    RETURNING id
)
SELECT placed.id FROM new LEFT JOIN placed ON placed.id = new.id ORDER BY new.ordinal
"""

ORDER = f"SELECT {COLUMNS} FROM orders WHERE id = $1"  # noqa: S608 - constants only

LOCK_ORDERS = f"SELECT {COLUMNS} FROM orders WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE"  # noqa: S608

# SKIP LOCKED: another transaction is deciding about these orders.
LOCK_OVERDUE_ORDERS = f"""
SELECT {COLUMNS} FROM orders WHERE state = 'PENDING' AND created_at < now() - $1::interval
ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""  # noqa: S608

# FOR SHARE: the state must not change before its event is committed.
LOCK_NEXT_ORDERS = f"SELECT {COLUMNS} FROM orders WHERE id > $1 ORDER BY id LIMIT $2 FOR SHARE"  # noqa: S608

STORE_ORDERS = """
UPDATE orders SET state = new.state, rejection_reason = new.rejection_reason, version = new.version
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS new (id, state, rejection_reason, version)
WHERE orders.id = new.id
"""

# Each set of filters is a statement of its own: the planner then uses the index that fits it.
ORDERS_PAGE = f"SELECT {COLUMNS} FROM orders WHERE id > $1 {{filters}} ORDER BY id LIMIT $2"  # noqa: S608


class Transaction:
    """One transaction on the order database."""

    def __init__(self, connection: PoolConnectionProxy) -> None:
        self._connection = connection

    async def insert_orders(self, orders: Sequence[NewOrder]) -> list[int | None]:
        columns = (
            [order.customer_id for order in orders],
            [order.total for order in orders],
            [order.key for order in orders],
            [order.fingerprint for order in orders],
        )
        try:
            rows = await self._connection.fetch(INSERT_ORDERS, *columns)
        except asyncpg.LockNotAvailableError as error:
            raise KeyBusy from error
        return [row["id"] for row in rows]

    async def stored_answers(self, keys: Collection[str]) -> dict[str, StoredAnswer]:
        return await idempotency.stored_answers(self._connection, keys)

    async def lock_orders(self, ids: Collection[int]) -> dict[int, Order]:
        return {row["id"]: _order(row) for row in await self._connection.fetch(LOCK_ORDERS, list(ids))}

    async def lock_overdue_orders(self, deadline: timedelta, limit: int) -> list[Order]:
        return [_order(row) for row in await self._connection.fetch(LOCK_OVERDUE_ORDERS, deadline, limit)]

    async def lock_next_orders(self, after: int, limit: int) -> list[Order]:
        return [_order(row) for row in await self._connection.fetch(LOCK_NEXT_ORDERS, after, limit)]

    async def store_orders(self, orders: Collection[Order]) -> None:
        await self._connection.execute(
            STORE_ORDERS,
            [o.id for o in orders],
            [o.state.value for o in orders],
            [o.rejection_reason.value if o.rejection_reason else None for o in orders],
            [o.version for o in orders],
        )

    async def append(self, rows: Sequence[OutboxRow]) -> None:
        await outbox.append(self._connection, rows)


class Repository:
    """The order database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._pool.acquire() as connection, connection.transaction():
            yield Transaction(connection)

    async def find_order(self, order_id: int) -> Order | None:
        row = await self._pool.fetchrow(ORDER, order_id)
        return _order(row) if row else None

    async def list_orders(
        self, after: int, limit: int, customer_id: int | None, state: OrderState | None
    ) -> list[Order]:
        given = [("customer_id", customer_id), ("state", state)]
        values = [(column, value) for column, value in given if value is not None]
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
