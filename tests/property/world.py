"""The three services' stores and handlers, and a road between them that delivers as badly as it likes."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import asyncpg
from hypothesis import note

from contracts.money import Money, PositiveMoney
from messaging.envelope import Envelope
from operations.audit import DECISIONS_THAT_FIT
from services.customer.handlers import create_customer, handle_order_events
from services.customer.repository import Repository as CustomerRepository
from services.customer.requests import CreateCustomer
from services.history.handlers import handle_events
from services.history.views import Generation
from services.order.domain import NotCancellable
from services.order.handlers import cancel_order, create_order, handle_credit_decisions, reject_overdue_orders
from services.order.repository import Repository as OrderRepository
from services.order.requests import CreateOrder
from services.order.waiting import Waiting

UNKNOWN_CUSTOMER = 1_000_000

NEW_EVENTS = "SELECT id::text, type, payload::text FROM outbox WHERE id > $1::uuid ORDER BY id"
FIRST_ID = "00000000-0000-0000-0000-000000000000"

BROKEN_LIMITS = "SELECT id FROM customers WHERE reserved_cents NOT BETWEEN 0 AND credit_limit_cents"
RESERVED = """
SELECT id, reserved_cents, coalesce(
    (SELECT sum(amount_cents) FROM credit_reservations WHERE customer_id = customers.id AND state = 'RESERVED'), 0
)::bigint AS reservations FROM customers
"""
ORDERS = "SELECT id, customer_id, total_cents, state, rejection_reason, version FROM orders"
DECISIONS = "SELECT order_id, state FROM credit_reservations"


@dataclass
class Road:
    """The events on their way to one consumer."""

    deliver: Callable[[Sequence[Envelope]], Awaitable[None]]
    types: frozenset[str]
    waiting: list[Envelope] = field(default_factory=list)
    delivered: list[Envelope] = field(default_factory=list)

    def add(self, events: Sequence[Envelope]) -> None:
        self.waiting += [event for event in events if event.type in self.types]

    async def move(self, chance: random.Random) -> None:
        """Delivers one batch: some that wait, in any order, and some again that were delivered before."""
        chance.shuffle(self.waiting)
        size = chance.randint(0, len(self.waiting))
        batch, self.waiting = self.waiting[:size], self.waiting[size:]
        repeated = chance.sample(self.delivered, min(len(self.delivered), chance.randint(0, 3)))
        self.delivered += batch
        batch = batch + repeated
        chance.shuffle(batch)
        if batch:
            await self.deliver(batch)


class World:
    """The three services' stores and handlers, and the roads between them."""

    def __init__(self, customers: asyncpg.Pool, orders: asyncpg.Pool, view: Generation) -> None:
        self.customers, self.orders, self.view = customers, orders, view
        self.customer_repository = CustomerRepository(customers)
        self.order_repository = OrderRepository(orders)
        self.waiting = Waiting()

    async def clear(self) -> None:
        """An empty world again; cheaper than a new one."""
        await self.customers.execute("TRUNCATE customers, credit_reservations, outbox RESTART IDENTITY")
        await self.orders.execute("TRUNCATE orders, outbox RESTART IDENTITY")
        await self.view.customers.delete_many({})
        await self.view.orders.delete_many({})
        self.read_up_to = {self.customers: FIRST_ID, self.orders: FIRST_ID}
        order_events = frozenset({"OrderCreated", "OrderApproved", "OrderRejected", "OrderCancelled"})
        decisions = frozenset({"CreditReserved", "CreditLimitExceeded", "CustomerValidationFailed"})
        self.roads = [
            Road(self._to_customer, frozenset({"OrderCreated", "OrderCancelled", "OrderRejected"})),
            Road(self._to_order, decisions),
            Road(self._to_history, order_events | decisions | {"CustomerCreated"}),
        ]

    async def _to_customer(self, batch: Sequence[Envelope]) -> None:
        await handle_order_events(self.customer_repository, batch)

    async def _to_order(self, batch: Sequence[Envelope]) -> None:
        await handle_credit_decisions(self.order_repository, self.waiting, batch)

    async def _to_history(self, batch: Sequence[Envelope]) -> None:
        await handle_events(self.view, batch)

    async def create_customer(self, limit: int) -> None:
        await create_customer(
            self.customer_repository, CreateCustomer(name="Jane Doe", credit_limit=Money.of(limit)), None, None
        )

    async def create_order(self, customer_id: int, total: int) -> int:
        command = CreateOrder(customer_id=customer_id, order_total=PositiveMoney.of(total))
        return await create_order(self.order_repository, command, None, None)

    async def cancel(self, order_id: int) -> None:
        try:
            await cancel_order(self.order_repository, self.waiting, order_id, None)
        except NotCancellable:
            note(f"order {order_id} was rejected before")

    async def reject_overdue(self) -> None:
        """As if every pending order were older than the deadline."""
        await reject_overdue_orders(self.order_repository, self.waiting, timedelta(0))

    async def fetch_new_events(self) -> None:
        for pool in (self.customers, self.orders):
            rows = await pool.fetch(NEW_EVENTS, self.read_up_to[pool])
            if rows:
                self.read_up_to[pool] = rows[-1]["id"]
            events = [Envelope(row["id"], row["type"], row["payload"].encode()) for row in rows]
            for road in self.roads:
                road.add(events)

    async def move(self, chance: random.Random) -> None:
        await self.fetch_new_events()
        await chance.choice(self.roads).move(chance)
        await self.assert_safe()

    async def drain(self, chance: random.Random) -> None:
        """Until nothing is on its way any more."""
        await self.fetch_new_events()
        while any(road.waiting for road in self.roads):
            await self.move(chance)
            await self.fetch_new_events()

    async def assert_safe(self) -> None:
        assert not await self.customers.fetch(BROKEN_LIMITS)
        for row in await self.customers.fetch(RESERVED):
            assert row["reserved_cents"] == row["reservations"], dict(row)

    async def assert_converged(self) -> None:
        orders = {row["id"]: dict(row) for row in await self.orders.fetch(ORDERS)}
        await self._assert_decisions_agree(orders)
        await self._assert_credit_adds_up(orders)
        await self._assert_view_agrees(orders)

    async def _assert_decisions_agree(self, orders: dict[int, dict[str, object]]) -> None:
        decisions = {row["order_id"]: row["state"] for row in await self.customers.fetch(DECISIONS)}
        assert decisions.keys() == orders.keys()
        for order in orders.values():
            fitting = DECISIONS_THAT_FIT.get((order["state"], order["rejection_reason"]), frozenset())
            assert decisions[order["id"]] in fitting, (order, decisions[order["id"]])

    async def _assert_credit_adds_up(self, orders: dict[int, dict[str, object]]) -> None:
        for row in await self.customers.fetch(RESERVED):
            approved = [
                o["total_cents"] for o in orders.values() if (o["customer_id"], o["state"]) == (row["id"], "APPROVED")
            ]
            assert row["reserved_cents"] == sum(approved)

    async def _assert_view_agrees(self, orders: dict[int, dict[str, object]]) -> None:
        seen = {d["_id"]: d async for d in self.view.orders.find()}
        assert seen == {
            o["id"]: {
                "_id": o["id"],
                "customerId": o["customer_id"],
                "total": o["total_cents"],
                "state": o["state"],
                "reason": o["rejection_reason"],
                "version": o["version"],
            }
            for o in orders.values()
        }
        named = {d["_id"]: (d["name"], d["creditLimit"]) async for d in self.view.customers.find()}
        rows = await self.customers.fetch("SELECT id, name, credit_limit_cents FROM customers")
        assert named == {row["id"]: (row["name"], row["credit_limit_cents"]) for row in rows}
