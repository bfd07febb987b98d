"""What the order service needs from outside. The real ports and the simulated ones keep to these protocols."""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from messaging.connection import Stream
from services.order.domain import Order, OrderState
from storage.idempotency import StoredAnswer
from storage.outbox import OutboxRow
from storage.postgres import Database


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order that a client asks for.

    Attributes:
        total: in cents.
        key: the request's idempotency key.
        fingerprint: of the request's body; b"" without a key.
    """

    customer_id: int
    total: int
    key: str | None = None
    fingerprint: bytes = b""


class Transaction(Protocol):
    """One transaction on the order database, its outbox and its idempotency keys included."""

    async def insert_orders(self, orders: Sequence[NewOrder]) -> list[int | None]:
        """Claims the orders' keys and stores the orders, as PENDING with version 1.

        If another transaction is claiming one of the keys, this waits for its end.

        Args:
            orders: no two of them with the same key.

        Returns:
            For each, in the order given, its id; None if its key was claimed before: nothing is stored for it then.

        Raises:
            KeyBusy: a key's other transaction did not end in time. This transaction must be rolled back.
        """

    async def stored_answers(self, keys: Collection[str]) -> dict[str, StoredAnswer]:
        """By key, the order id that its first request was answered with. A key that has expired is left out."""

    async def lock_orders(self, ids: Collection[int]) -> dict[int, Order]:
        """The orders that are visible, by id, locked in the order of their ids until the transaction ends."""

    async def lock_overdue_orders(self, deadline: timedelta, limit: int) -> list[Order]:
        """The oldest orders that are PENDING for longer than the deadline, locked.

        Orders that another transaction has locked are left out.
        """

    async def lock_next_orders(self, after: int, limit: int) -> list[Order]:
        """Orders with ids above `after`, in the order of their ids, locked against changes until the end."""

    async def store_orders(self, orders: Collection[Order]) -> None:
        """Stores the new states of locked orders."""

    async def append(self, rows: Sequence[OutboxRow]) -> None:
        """Adds events to the outbox."""


class OrderRepository(Protocol):
    """The order database."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Commits at the end of the block, or rolls back if the block raises."""

    async def find_order(self, order_id: int) -> Order | None:
        """The order as last committed; None if there is no such order."""

    async def list_orders(
        self, after: int, limit: int, customer_id: int | None, state: OrderState | None
    ) -> list[Order]:
        """Orders with ids above `after`, in the order of their ids; of one customer and one state if given."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside of the process that the service uses. Time is the event loop's."""

    database: Database
    orders: OrderRepository
    stream: Stream
