"""What must hold after every step, and what must hold when no event is on its way."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from messaging.streams import DEAD_LETTERS
from operations.audit import Finding, audit
from operations.snapshot import Customer, Order, Reservation, Snapshot
from operations.sources import CUSTOMERS, ORDERS, RESERVATIONS, customer_in_view, order_in_view
from tests.integration.events import stored
from tests.property.world import World

ALWAYS = ("credit limit", "reserved credit")
"""The audit's checks that hold while events are on their way."""

ORDER_MOVES = {("PENDING", "APPROVED"), ("PENDING", "REJECTED"), ("PENDING", "CANCELLED"), ("APPROVED", "CANCELLED")}
DECISION_MOVES = {("RESERVED", "RELEASED")}

SENT_TWICE = """
SELECT type, payload::text, count(*) FROM outbox GROUP BY type, payload::text HAVING count(*) > 1
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the last look showed: orders and decisions only move forward, versions in the view never decrease."""

    orders: Mapping[int, Order]
    decisions: Mapping[int, Reservation]
    versions: Mapping[tuple[str, int], int]


class Invariants:
    """Looks at the stores, and remembers what it saw."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen = Seen({}, {}, {})

    def forget_the_view(self) -> None:
        """It was wiped: its versions begin again."""
        self._seen = Seen(self._seen.orders, self._seen.decisions, {})

    async def check(self) -> None:
        """Whatever events are on their way."""
        snapshot, now = await self._look()
        assert [finding for finding in audit(snapshot) if finding.check in ALWAYS] == []
        self._check_moves(now)
        for thing, version in self._seen.versions.items():
            assert now.versions.get(thing, 0) >= version, f"the version of {thing} decreased in the view"
        for pool in (self._world.customers, self._world.orders):
            assert [tuple(row) for row in await pool.fetch(SENT_TWICE)] == []
        letters = await stored(self._world.client, DEAD_LETTERS)
        assert [(letter.headers, letter.data) for letter in letters] == []
        self._seen = now

    def _check_moves(self, now: Seen) -> None:
        for order_id, before in self._seen.orders.items():
            order = now.orders[order_id]
            assert order == before or (before.state, order.state) in ORDER_MOVES, f"{before} became {order}"
            assert order == before or order.version > before.version, f"{before} became {order}"
        for order_id, first in self._seen.decisions.items():
            decision = now.decisions[order_id]
            assert decision == first or (first.state, decision.state) in DECISION_MOVES, f"{first} became {decision}"

    async def check_converged(self) -> None:
        """When no event is on its way: every order is final, and all stores agree."""
        snapshot, _ = await self._look()
        assert audit(snapshot) == list[Finding]()
        approved = Counter[int]()
        for order in snapshot.orders.values():
            approved[order.customer_id] += order.total if order.state == "APPROVED" else 0
        reserved = {customer_id: customer.reserved for customer_id, customer in snapshot.customers.items()}
        assert reserved == {customer_id: approved[customer_id] for customer_id in reserved}

    async def _look(self) -> tuple[Snapshot, Seen]:
        world = self._world
        customers = [document async for document in world.view.every_customer()]
        orders = [document async for document in world.view.every_order()]
        snapshot = Snapshot(
            customers={i: Customer(*rest) for i, *rest in await world.customers.fetch(CUSTOMERS)},
            reservations={i: Reservation(*rest) for i, *rest in await world.customers.fetch(RESERVATIONS)},
            orders={i: Order(*rest) for i, *rest in await world.orders.fetch(ORDERS)},
            view_customers={d["_id"]: customer_in_view(d) for d in customers},
            view_orders={d["_id"]: order_in_view(d) for d in orders},
        )
        versions = {("customer", d["_id"]): d["version"] for d in customers}
        versions |= {("order", d["_id"]): d["version"] for d in orders}
        return snapshot, Seen(snapshot.orders, snapshot.reservations, versions)
