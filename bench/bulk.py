"""Orders in bulk, by SQL: what a test of draining or of growth starts from.

`place` writes what POST /orders writes (an order and its OrderCreated, in one transaction), only many at a time.
`fill` writes orders that were decided long ago, as they stand in all three stores, without any event.
"""

import asyncio
from collections.abc import Sequence

import asyncpg
from pymongo import WriteConcern

from bench.load import TOTAL
from bench.rig import Rig
from services.history.views import Document

ROWS_AT_ONCE = 5_000
CENTS = TOTAL["amount"] * 100

PLACE = """
WITH placed AS (
    INSERT INTO orders (customer_id, total_cents, state, version)
    SELECT ($1::bigint[])[1 + i % cardinality($1)], $2::bigint, 'PENDING', 1 FROM generate_series(1, $3::int) AS i
    RETURNING id, customer_id
)
INSERT INTO outbox (aggregatetype, aggregateid, type, payload)
SELECT 'order', id::text, 'OrderCreated', json_build_object(
    'orderId', id, 'customerId', customer_id, 'orderTotal', json_build_object('amount', $2::bigint / 100),
    'version', 1, 'state', 'PENDING'
) FROM placed
"""

RESERVE_IDS = """
SELECT setval(pg_get_serial_sequence('orders', 'id'), last_value + $1) - $1 + 1 FROM orders_id_seq
"""

FILL_ORDERS = """
INSERT INTO orders (id, customer_id, total_cents, state, version)
SELECT $1::bigint + i, ($2::bigint[])[1 + i % cardinality($2)], $3::bigint, 'APPROVED', 2
FROM generate_series(0, $4::int - 1) AS i
"""

FILL_RESERVATIONS = """
INSERT INTO credit_reservations (order_id, customer_id, amount_cents, state)
SELECT $1::bigint + i, ($2::bigint[])[1 + i % cardinality($2)], $3::bigint, 'RESERVED'
FROM generate_series(0, $4::int - 1) AS i
"""

CHARGE = """
UPDATE customers SET reserved_cents = reserved_cents + filled.orders * $2::bigint, version = version + filled.orders
FROM (SELECT ($1::bigint[])[1 + i % cardinality($1)] AS id, count(*) AS orders
      FROM generate_series(0, $3::int - 1) AS i GROUP BY 1) AS filled
WHERE customers.id = filled.id
"""


async def place(rig: Rig, customers: Sequence[int], number: int) -> None:
    """Pending orders with their events in the outbox."""
    for begin in range(0, number, ROWS_AT_ONCE):
        await rig.orders.execute(PLACE, customers, CENTS, min(ROWS_AT_ONCE, number - begin))


async def fill(rig: Rig, customers: Sequence[int], number: int) -> None:
    """Approved orders in the orders, the reservations and the view, which then have nothing left to tidy up."""
    for begin in range(0, number, ROWS_AT_ONCE):
        await _fill(rig, customers, min(ROWS_AT_ONCE, number - begin))
    await rig.orders.execute("VACUUM ANALYZE orders")
    await rig.customers.execute("VACUUM ANALYZE credit_reservations")
    admin = await asyncpg.connect(rig.settings.postgres_url.get_secret_value())
    await admin.execute("CHECKPOINT")
    await admin.close()
    await rig.quiet()


async def _fill(rig: Rig, customers: Sequence[int], number: int) -> None:
    """All three at once, so that the view's writing slows the write-ahead log down to what Debezium can follow."""
    first = await rig.orders.fetchval(RESERVE_IDS, number)
    await asyncio.gather(
        rig.orders.execute(FILL_ORDERS, first, customers, CENTS, number),
        rig.customers.execute(FILL_RESERVATIONS, first, customers, CENTS, number),
        rig.customers.execute(CHARGE, customers, CENTS, number),
        _fill_view(rig, first, customers, number),
    )


async def _fill_view(rig: Rig, first: int, customers: Sequence[int], number: int) -> None:
    orders = rig.shown.with_options(write_concern=WriteConcern(w=1))
    await orders.insert_many([_document(first + i, customers[i % len(customers)]) for i in range(number)])


def _document(order_id: int, customer_id: int) -> Document:
    return {
        "_id": order_id,
        "customerId": customer_id,
        "total": CENTS,
        "state": "APPROVED",
        "reason": None,
        "version": 2,
    }
