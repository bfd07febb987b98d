"""The customer's and the order's repositories over a simulated database: the same methods, the same promises."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from services.customer.domain import Customer, Reservation, ReservationState
from services.order.domain import Order
from storage.idempotency import fingerprint
from tests.simulation.postgres import Database, Transaction
from tests.simulation.process import Life
from web.problems import Problem

CUSTOMERS, RESERVATIONS, ORDERS, KEYS = "customers", "credit_reservations", "orders", "idempotency_keys"


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """A row of idempotency_keys."""

    fingerprint: bytes
    answer: Any = None


class _IdempotentTransaction(Transaction):
    """What web/idempotency.py does in either service."""

    async def claim(self, key: str, body: BaseModel) -> Any | None:
        first = await self._statement(lambda: self._insert_key(key, KeptAnswer(fingerprint(body))))
        if first:
            return None

        async def look() -> KeptAnswer | None:
            kept: KeptAnswer | None = self._see((KEYS, key))
            return kept

        kept = await self._statement(look)
        if kept is None or kept.fingerprint != fingerprint(body):
            raise Problem(422, "this Idempotency-Key was used with another body")
        return kept.answer

    async def _insert_key(self, key: str, row: KeptAnswer) -> bool:
        """INSERT ... ON CONFLICT DO NOTHING."""
        await self._database.lock(self, (KEYS, key))
        if self._see((KEYS, key)) is not None:
            await self._database.wait_for_writer(self, (KEYS, key))
            return False
        self.writes[KEYS, key] = row
        return True

    async def keep(self, key: str, answer: Any) -> None:
        await self._statement(lambda: self._update((KEYS, key), lambda row: replace(row, answer=answer)))


class CustomerTransaction(_IdempotentTransaction):
    """As services.customer.repository.Transaction."""

    async def insert_customer(self, name: str, credit_limit: int) -> Customer:
        async def effect() -> Customer:
            customer = Customer(self._database.next_identity(CUSTOMERS), name, credit_limit)
            await self._insert((CUSTOMERS, customer.id), customer)
            return customer

        return await self._statement(effect)

    async def lock_customers(self, ids: Collection[int]) -> dict[int, Customer]:
        return await self._statement(lambda: self._lock_all(CUSTOMERS, ids))

    async def find_reservations(self, order_ids: Collection[int]) -> dict[int, Reservation]:
        async def effect() -> dict[int, Reservation]:
            return self._see_all(RESERVATIONS, order_ids)

        return await self._statement(effect)

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


def _released(reservation: Reservation) -> Reservation:
    if reservation.state is not ReservationState.RESERVED:
        return reservation
    return replace(reservation, state=ReservationState.RELEASED)


class OrderTransaction(_IdempotentTransaction):
    """As services.order.repository.Transaction."""

    async def insert_orders(self, wanted: Sequence[tuple[int, int]]) -> list[Order]:
        async def effect() -> list[Order]:
            orders = [Order(self._database.next_identity(ORDERS), *order) for order in wanted]
            for order in orders:
                await self._insert((ORDERS, order.id), order)
            return orders

        return await self._statement(effect)

    async def lock_orders(self, ids: Collection[int]) -> dict[int, Order]:
        return await self._statement(lambda: self._lock_all(ORDERS, ids))

    async def lock_overdue_orders(self, deadline: timedelta, limit: int) -> list[Order]:
        """FOR UPDATE SKIP LOCKED."""

        async def effect() -> list[Order]:
            latest = self._database.world.now - deadline.total_seconds()
            pending = [order for order in self._database.rows(ORDERS).values() if order.is_pending]
            born = {order.id: self._database.born[ORDERS, order.id] for order in pending}
            overdue = [number for number in sorted(born, key=born.__getitem__) if born[number] < latest]
            free = [number for number in overdue if not self._database.is_locked((ORDERS, number))]
            return list((await self._lock_all(ORDERS, free[:limit])).values())

        return await self._statement(effect)

    async def store_orders(self, orders: Collection[Order]) -> None:
        async def effect() -> None:
            for order in orders:
                await self._update((ORDERS, order.id), _constant(order))

        await self._statement(effect)


def _constant(row: Any) -> Callable[[Any], Any]:
    return lambda _: row


class CustomerRepository:
    """As services.customer.repository.Repository, as far as the handlers use it."""

    def __init__(self, database: Database, life: Life) -> None:
        self._database = database
        self._life = life

    def transaction(self) -> CustomerTransaction:
        return CustomerTransaction(self._database, self._life)


class OrderRepository:
    """As services.order.repository.Repository, as far as the handlers use it."""

    def __init__(self, database: Database, life: Life) -> None:
        self._database = database
        self._life = life

    def transaction(self) -> OrderTransaction:
        return OrderTransaction(self._database, self._life)
