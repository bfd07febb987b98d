"""The customer's and the order's repositories over a simulated database: the protocols of services/*/ports.py."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg

from services.customer.domain import Customer, Reservation, ReservationState
from services.order.domain import Order, OrderState
from services.order.ports import NewOrder
from storage.idempotency import KeyBusy, StoredAnswer
from tests.simulation.postgres import Database
from tests.simulation.process import Life
from tests.simulation.transaction import KEYS, Transaction

CUSTOMERS, RESERVATIONS, ORDERS = "customers", "credit_reservations", "orders"


class CustomerTransaction(Transaction):
    """Implements services.customer.ports.Transaction."""

    async def insert_customer(self, name: str, credit_limit: int) -> Customer:
        async def effect() -> Customer:
            customer = Customer(self._database.next_identity(CUSTOMERS), name, credit_limit)
            await self._insert((CUSTOMERS, customer.id), customer)
            return customer

        return await self._statement(effect)

    async def lock_customers(self, ids: Collection[int]) -> dict[int, Customer]:
        return await self._statement(lambda: self._lock_all(CUSTOMERS, ids))

    async def lock_next_customers(self, after: int, limit: int) -> list[Customer]:
        async def effect() -> list[Customer]:
            return list((await self._lock_all(CUSTOMERS, self._next_keys(CUSTOMERS, after, limit))).values())

        return await self._statement(effect)

    async def find_reservations(self, order_ids: Collection[int]) -> dict[int, Reservation]:
        return await self._query(lambda: self._see_all(RESERVATIONS, order_ids))

    async def store_customers(self, customers: Collection[Customer]) -> None:
        async def effect() -> None:
            for customer in customers:
                await self._update((CUSTOMERS, customer.id), _constant(customer))

        await self._statement(effect)

    async def insert_reservations(self, reservations: Collection[Reservation]) -> None:
        async def effect() -> None:
            for reservation in reservations:
                await self._insert((RESERVATIONS, reservation.order_id), reservation)

        await self._statement(effect)

    async def release_reservations(self, order_ids: Collection[int]) -> None:
        async def effect() -> None:
            for order_id in order_ids:
                await self._update((RESERVATIONS, order_id), _released)

        await self._statement(effect)

    async def claim(self, key: str, fingerprint: bytes) -> bool:
        return await self._statement(lambda: self._claim(key, StoredAnswer(fingerprint, None)))

    async def store(self, key: str, answer: int) -> None:
        await self._statement(lambda: self._update((KEYS, key), lambda row: replace(row, answer=answer)))


def _released(reservation: Reservation) -> Reservation:
    if reservation.state is not ReservationState.RESERVED:
        return reservation
    return replace(reservation, state=ReservationState.RELEASED)


class OrderTransaction(Transaction):
    """Implements services.order.ports.Transaction."""

    async def insert_orders(self, orders: Sequence[NewOrder]) -> list[int | None]:
        if len(orders) > 1:
            self._database.world.struck("several orders in one transaction")
        try:
            return await self._statement(lambda: self._insert_orders(orders))
        except asyncpg.LockNotAvailableError as error:
            raise KeyBusy from error

    async def _insert_orders(self, orders: Sequence[NewOrder]) -> list[int | None]:
        """As services.order.repository.INSERT_ORDERS: each order takes an id, also one that is not stored."""
        ids = [self._database.next_identity(ORDERS) for _ in orders]
        claims = sorted((order.key, position) for position, order in enumerate(orders) if order.key is not None)
        claimed = set()
        for key, position in claims:
            if await self._claim(key, StoredAnswer(orders[position].fingerprint, ids[position])):
                claimed.add(key)
        placed: list[int | None] = []
        for order_id, order in zip(ids, orders, strict=True):
            is_new = order.key is None or order.key in claimed
            if is_new:
                await self._insert((ORDERS, order_id), Order(order_id, order.customer_id, order.total))
            placed.append(order_id if is_new else None)
        return placed

    async def lock_orders(self, ids: Collection[int]) -> dict[int, Order]:
        return await self._statement(lambda: self._lock_all(ORDERS, ids))

    async def lock_overdue_orders(self, deadline: timedelta, limit: int) -> list[Order]:
        """FOR UPDATE SKIP LOCKED."""

        async def effect() -> list[Order]:
            latest = self._database.world.now - deadline.total_seconds()
            pending = [order for order in self._database.rows(ORDERS).values() if order.is_pending]
            created = {order.id: self._database.created_at[ORDERS, order.id] for order in pending}
            overdue = [number for number in sorted(created, key=created.__getitem__) if created[number] < latest]
            free = [number for number in overdue if not self._database.is_locked((ORDERS, number))]
            return list((await self._lock_all(ORDERS, free[:limit])).values())

        return await self._statement(effect)

    async def lock_next_orders(self, after: int, limit: int) -> list[Order]:
        async def effect() -> list[Order]:
            return list((await self._lock_all(ORDERS, self._next_keys(ORDERS, after, limit))).values())

        return await self._statement(effect)

    async def store_orders(self, orders: Collection[Order]) -> None:
        async def effect() -> None:
            for order in orders:
                await self._update((ORDERS, order.id), _constant(order))

        await self._statement(effect)


def _constant(row: Any) -> Callable[[Any], Any]:
    return lambda _: row


class CustomerRepository:
    """Implements services.customer.ports.CustomerRepository."""

    def __init__(self, database: Database, life: Life) -> None:
        self._database = database
        self._life = life

    def transaction(self) -> CustomerTransaction:
        return CustomerTransaction(self._database, self._life)

    async def find_customer(self, customer_id: int) -> Customer | None:
        return await self._database.read(self._life, lambda: self._database.tables.get((CUSTOMERS, customer_id)))

    async def list_customers(self, after: int, limit: int) -> list[Customer]:
        def query() -> list[Customer]:
            return [row for number, row in sorted(self._database.rows(CUSTOMERS).items()) if number > after][:limit]

        return await self._database.read(self._life, query)


class OrderRepository:
    """Implements services.order.ports.OrderRepository."""

    def __init__(self, database: Database, life: Life) -> None:
        self._database = database
        self._life = life

    def transaction(self) -> OrderTransaction:
        return OrderTransaction(self._database, self._life)

    async def find_order(self, order_id: int) -> Order | None:
        return await self._database.read(self._life, lambda: self._database.tables.get((ORDERS, order_id)))

    async def list_orders(
        self, after: int, limit: int, customer_id: int | None, state: OrderState | None
    ) -> list[Order]:
        def query() -> list[Order]:
            rows = [row for number, row in sorted(self._database.rows(ORDERS).items()) if number > after]
            return [row for row in rows if customer_id in (None, row.customer_id) and state in (None, row.state)][
                :limit
            ]

        return await self._database.read(self._life, query)
