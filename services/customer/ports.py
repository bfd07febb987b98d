"""What the customer service needs from outside. The real ports and the simulated ones keep to these protocols."""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from messaging.connection import Stream
from services.customer.domain import Customer, Reservation
from storage.idempotency import StoredAnswer
from storage.outbox import OutboxRow
from storage.postgres import Database


class Transaction(Protocol):
    """One transaction on the customer database, its outbox and its idempotency keys included."""

    async def insert_customer(self, name: str, credit_limit: int) -> Customer:
        """Stores a new customer; the limit is in cents."""

    async def lock_customers(self, ids: Collection[int]) -> dict[int, Customer]:
        """The customers that exist, by id, locked until the transaction ends."""

    async def lock_next_customers(self, after: int, limit: int) -> list[Customer]:
        """Customers with ids above `after`, in the order of their ids, locked against changes until the end."""

    async def find_reservations(self, order_ids: Collection[int]) -> dict[int, Reservation]:
        """The decisions about these orders, by order id. Call it after the customers are locked."""

    async def store_customers(self, customers: Collection[Customer]) -> None:
        """Stores the new credit of locked customers."""

    async def insert_reservations(self, reservations: Collection[Reservation]) -> None:
        """Stores first decisions.

        Raises:
            asyncpg.UniqueViolationError: another transaction decided on one of the orders meanwhile.
        """

    async def release_reservations(self, order_ids: Collection[int]) -> None:
        """Turns RESERVED into RELEASED."""

    async def append(self, rows: Sequence[OutboxRow]) -> None:
        """Adds events to the outbox."""

    async def claim(self, key: str, fingerprint: bytes) -> bool:
        """Claims an idempotency key; False if it was claimed before. Waits for a transaction that is claiming it."""

    async def store(self, key: str, answer: int) -> None:
        """Stores the answer to a claimed key."""

    async def stored_answers(self, keys: Collection[str]) -> dict[str, StoredAnswer]:
        """The first answers to these keys. A key that has expired is left out."""


class CustomerRepository(Protocol):
    """The customer database."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Commits at the end of the block, or rolls back if the block raises."""

    async def find_customer(self, customer_id: int) -> Customer | None:
        """The customer as last committed; None if there is no such customer."""

    async def list_customers(self, after: int, limit: int) -> list[Customer]:
        """Customers with ids above `after`, in the order of their ids."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside of the process that the service uses. Time is the event loop's."""

    database: Database
    customers: CustomerRepository
    stream: Stream
