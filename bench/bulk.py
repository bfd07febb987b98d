"""Orders in bulk, written by SQL: the backlog and the large tables that other parts of the benchmark start from."""

import asyncio
from collections.abc import Sequence

import asyncpg
from pymongo import WriteConcern

from bench.load import ORDER_TOTAL
from bench.rig import Rig
from services.history.views import Document

INSERT_BATCH = 5_000
TOTAL_CENTS = ORDER_TOTAL["amount"] * 100

INSERT_PENDING = """
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

INSERT_APPROVED = """
INSERT INTO orders (id, customer_id, total_cents, state, version)
SELECT $1::bigint + i, ($2::bigint[])[1 + i % cardinality($2)], $3::bigint, 'APPROVED', 2
FROM generate_series(0, $4::int - 1) AS i
"""

INSERT_RESERVATIONS = """
INSERT INTO credit_reservations (order_id, customer_id, amount_cents, state)
SELECT $1::bigint + i, ($2::bigint[])[1 + i % cardinality($2)], $3::bigint, 'RESERVED'
FROM generate_series(0, $4::int - 1) AS i
"""

RESERVE_CREDIT = """
UPDATE customers SET reserved_cents = reserved_cents + new.orders * $2::bigint, version = version + new.orders
FROM (SELECT ($1::bigint[])[1 + i % cardinality($1)] AS id, count(*) AS orders
      FROM generate_series(0, $3::int - 1) AS i GROUP BY 1) AS new
WHERE customers.id = new.id
"""


async def insert_pending_orders(rig: Rig, customers: Sequence[int], number: int) -> None:
    """Inserts what POST /orders inserts: pending orders with their OrderCreated events, in one transaction a batch."""
    for begin in range(0, number, INSERT_BATCH):
        await rig.orders.execute(INSERT_PENDING, customers, TOTAL_CENTS, min(INSERT_BATCH, number - begin))


async def insert_approved_orders(rig: Rig, customers: Sequence[int], number: int) -> None:
    """Inserts approved orders into the orders, the reservations and the view, without events.

    Afterwards it vacuums the tables and runs a checkpoint, so that this work does not fall into a measurement.
    """
    for begin in range(0, number, INSERT_BATCH):
        await _insert_approved_batch(rig, customers, min(INSERT_BATCH, number - begin))
    await rig.orders.execute("VACUUM ANALYZE orders")
    await rig.customers.execute("VACUUM ANALYZE credit_reservations")
    admin = await asyncpg.connect(rig.settings.postgres_url.get_secret_value())
    await admin.execute("CHECKPOINT")
    await admin.close()
    await rig.wait_until_drained()


async def _insert_approved_batch(rig: Rig, customers: Sequence[int], number: int) -> None:
    """Concurrently: the inserts into the view are slow enough that Debezium keeps up with the write-ahead log."""
    first = await rig.orders.fetchval(RESERVE_IDS, number)
    await asyncio.gather(
        rig.orders.execute(INSERT_APPROVED, first, customers, TOTAL_CENTS, number),
        rig.customers.execute(INSERT_RESERVATIONS, first, customers, TOTAL_CENTS, number),
        rig.customers.execute(RESERVE_CREDIT, customers, TOTAL_CENTS, number),
        _insert_into_view(rig, first, customers, number),
    )


async def _insert_into_view(rig: Rig, first: int, customers: Sequence[int], number: int) -> None:
    orders = rig.view_orders.with_options(write_concern=WriteConcern(w=1))
    await orders.insert_many([_document(first + i, customers[i % len(customers)]) for i in range(number)])


def _document(order_id: int, customer_id: int) -> Document:
    return {
        "_id": order_id,
        "customerId": customer_id,
        "total": TOTAL_CENTS,
        "state": "APPROVED",
        "reason": None,
        "version": 2,
    }
