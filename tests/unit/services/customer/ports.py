"""The customer service's database port in memory. Implements services.customer.ports.CustomerRepository."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from services.customer.domain import Customer, Reservation, ReservationState
from storage.idempotency import StoredAnswer
from storage.outbox import OutboxRow


class FakeCustomers:
    """Customers, reservations, keys and outbox in memory, without rollback. Writes down each statement.

    Attributes:
        away: the error that every call raises, while the database is away.
        statements: the name of each method that was called, in order; `begin` for each transaction.
        expired: keys that were claimed before and are deleted before their answer is read.
    """

    def __init__(self, *customers: Customer) -> None:
        self.customers = {customer.id: customer for customer in customers}
        self.reservations: dict[int, Reservation] = {}
        self.keys: dict[str, StoredAnswer] = {}
        self.outbox: list[OutboxRow] = []
        self.away: Exception | None = None
        self.statements: list[str] = []
        self.expired: set[str] = set()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["FakeCustomers"]:
        self._note("begin")
        yield self

    async def insert_customer(self, name: str, credit_limit: int) -> Customer:
        self._note("insert_customer")
        customer = Customer(len(self.customers) + 1, name, credit_limit)
        self.customers[customer.id] = customer
        return customer

    async def lock_customers(self, ids: Collection[int]) -> dict[int, Customer]:
        self._note("lock_customers")
        return {customer_id: self.customers[customer_id] for customer_id in ids if customer_id in self.customers}

    async def lock_next_customers(self, after: int, limit: int) -> list[Customer]:
        self._note("lock_next_customers")
        return [customer for customer_id, customer in sorted(self.customers.items()) if customer_id > after][:limit]

    async def find_reservations(self, order_ids: Collection[int]) -> dict[int, Reservation]:
        self._note("find_reservations")
        return {order_id: self.reservations[order_id] for order_id in order_ids if order_id in self.reservations}

    async def store_customers(self, customers: Collection[Customer]) -> None:
        self._note("store_customers")
        self.customers |= {customer.id: customer for customer in customers}

    async def insert_reservations(self, reservations: Collection[Reservation]) -> None:
        self._note("insert_reservations")
        self.reservations |= {reservation.order_id: reservation for reservation in reservations}

    async def release_reservations(self, order_ids: Collection[int]) -> None:
        self._note("release_reservations")
        for order_id in order_ids:
            self.reservations[order_id] = replace(self.reservations[order_id], state=ReservationState.RELEASED)

    async def append(self, rows: Sequence[OutboxRow]) -> None:
        self._note("append")
        self.outbox += rows

    async def claim(self, key: str, fingerprint: bytes) -> bool:
        self._note("claim")
        if key in self.keys or key in self.expired:
            return False
        self.keys[key] = StoredAnswer(fingerprint, None)
        return True

    async def store(self, key: str, answer: int) -> None:
        self._note("store")
        self.keys[key] = replace(self.keys[key], answer=answer)

    async def stored_answers(self, keys: Collection[str]) -> dict[str, StoredAnswer]:
        self._note("stored_answers")
        return {key: self.keys[key] for key in keys if key in self.keys}

    async def find_customer(self, customer_id: int) -> Customer | None:
        self._note("find_customer")
        return self.customers.get(customer_id)

    async def list_customers(self, after: int, limit: int) -> list[Customer]:
        self._note("list_customers")
        return [customer for customer_id, customer in sorted(self.customers.items()) if customer_id > after][:limit]

    def _note(self, statement: str) -> None:
        self.statements.append(statement)
        if self.away:
            raise self.away
