"""The order service's database port in memory. Implements services.order.ports.OrderRepository."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from services.order.domain import Order, OrderState
from services.order.ports import NewOrder
from storage.idempotency import KeyBusy, StoredAnswer
from storage.outbox import OutboxRow


class FakeOrders:
    """Orders, keys and outbox in memory, without rollback. Writes down each statement.

    Attributes:
        away: the error that every call raises, while the database is away.
        statements: the name of each method that was called, in order; `begin` for each transaction.
        reads_as: what every `find_order` returns, whatever is stored; None for what is stored.
        expired: keys that were claimed before and are deleted before their answer is read.
        busy: keys that another transaction holds.
    """

    def __init__(self, *orders: Order) -> None:
        self.orders = {order.id: order for order in orders}
        self.keys: dict[str, StoredAnswer] = {}
        self.outbox: list[OutboxRow] = []
        self.away: Exception | None = None
        self.statements: list[str] = []
        self.reads_as: Order | None = None
        self.expired: set[str] = set()
        self.busy: set[str] = set()
        self.deadlines: list[timedelta] = []

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["FakeOrders"]:
        self._note("begin")
        yield self

    async def insert_orders(self, orders: Sequence[NewOrder]) -> list[int | None]:
        self._note("insert_orders")
        if any(order.key in self.busy for order in orders):
            raise KeyBusy
        return [self._insert(order) for order in orders]

    def _insert(self, new: NewOrder) -> int | None:
        if new.key and (new.key in self.keys or new.key in self.expired):
            return None
        order = Order(len(self.orders) + 1, new.customer_id, new.total)
        self.orders[order.id] = order
        if new.key:
            self.keys[new.key] = StoredAnswer(new.fingerprint, order.id)
        return order.id

    async def stored_answers(self, keys: Collection[str]) -> dict[str, StoredAnswer]:
        self._note("stored_answers")
        return {key: self.keys[key] for key in keys if key in self.keys}

    async def lock_orders(self, ids: Collection[int]) -> dict[int, Order]:
        self._note("lock_orders")
        return {order_id: self.orders[order_id] for order_id in ids if order_id in self.orders}

    async def lock_overdue_orders(self, deadline: timedelta, limit: int) -> list[Order]:
        self._note("lock_overdue_orders")
        self.deadlines.append(deadline)
        return [order for order in self.orders.values() if order.is_pending][:limit]

    async def lock_next_orders(self, after: int, limit: int) -> list[Order]:
        self._note("lock_next_orders")
        return [order for order_id, order in sorted(self.orders.items()) if order_id > after][:limit]

    async def store_orders(self, orders: Collection[Order]) -> None:
        self._note("store_orders")
        self.orders |= {order.id: order for order in orders}

    async def append(self, rows: Sequence[OutboxRow]) -> None:
        self._note("append")
        self.outbox += rows

    async def find_order(self, order_id: int) -> Order | None:
        self._note("find_order")
        return self.reads_as or self.orders.get(order_id)

    async def list_orders(
        self, after: int, limit: int, customer_id: int | None, state: OrderState | None
    ) -> list[Order]:
        self._note("list_orders")
        return [
            order
            for order_id, order in sorted(self.orders.items())
            if order_id > after and customer_id in (None, order.customer_id) and state in (None, order.state)
        ][:limit]

    def _note(self, statement: str) -> None:
        self.statements.append(statement)
        if self.away:
            raise self.away
