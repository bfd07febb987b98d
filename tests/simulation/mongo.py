"""The view in a simulated MongoDB: each document changes whole, a batch of them does not."""

from collections.abc import Callable
from typing import Any

from pymongo.errors import AutoReconnect

from services.history.projection import Changes
from tests.simulation.process import Life
from tests.simulation.world import World

Document = dict[str, Any]

OnWrite = Callable[[str, Document | None, Document], None]
"""Told of a collection's document, before (None if there was none) and after."""


class Mongo:
    """The server.

    Args:
        on_write: looks at each document that was changed.
    """

    def __init__(self, world: World, on_write: OnWrite | None = None) -> None:
        self.world = world
        self.up = True
        self.customers: dict[int, Document] = {}
        self.orders: dict[int, Document] = {}
        self.identity: str | None = None
        self._made = 0
        self._on_write = on_write

    def wipe(self) -> None:
        self.customers.clear()
        self.orders.clear()
        self.identity = None

    def identify(self) -> str:
        """The view's identity, made if there is none."""
        if self.identity is None:
            self._made += 1
            self.identity = f"view-{self._made}"
        return self.identity

    def take_if_newer(self, name: str, document: Document) -> None:
        """One document's update, atomic."""
        self.check()
        collection: dict[int, Document] = getattr(self, name)
        present = collection.get(document["_id"])
        if present is None or document["version"] > present["version"]:
            collection[document["_id"]] = document
            if self._on_write:
                self._on_write(name, present, document)

    def check(self) -> None:
        if not self.up:
            raise AutoReconnect("connection closed")


class Views:
    """As services.history.views.Views, as far as the handlers use it."""

    def __init__(self, mongo: Mongo, life: Life) -> None:
        self._mongo = mongo
        self._life = life
        self._prepared = ""

    async def prepare(self) -> str:
        await self._life.io()
        self._mongo.check()
        self._prepared = self._mongo.identify()
        await self._life.io()
        self._mongo.check()
        return self._prepared

    async def is_wiped(self) -> bool:
        await self._life.io()
        self._mongo.check()
        return self._prepared not in ("", self._mongo.identity)

    async def apply(self, changes: Changes) -> None:
        updates = [("customers", _customer(state)) for state in changes.customers.values()]
        updates += [("orders", _order(state)) for state in changes.orders.values()]
        await self._life.io()
        self._mongo.check()
        # An unordered bulk: in any order, and a crash leaves some of it undone.
        for name, document in self._mongo.world.rng.sample(updates, len(updates)):
            self._mongo.take_if_newer(name, document)
            if self._mongo.world.rng.random() < 0.2:
                await self._life.io()
        await self._life.io()
        self._mongo.check()

    async def find_customer(self, customer_id: int) -> tuple[Document, list[Document]] | None:
        await self._life.io()
        self._mongo.check()
        customer = self._mongo.customers.get(customer_id)
        orders = [order for order in self._mongo.orders.values() if order["customerId"] == customer_id]
        return (customer, sorted(orders, key=lambda order: -order["_id"])) if customer else None

    async def find_order(self, order_id: int) -> Document | None:
        await self._life.io()
        self._mongo.check()
        return self._mongo.orders.get(order_id)


def _customer(state: Any) -> Document:
    return {
        "_id": state.customer_id,
        "name": state.name,
        "creditLimit": state.credit_limit.cents,
        "version": state.version,
    }


def _order(state: Any) -> Document:
    return {
        "_id": state.order_id,
        "customerId": state.customer_id,
        "total": state.order_total.cents,
        "state": state.state,
        "reason": state.rejection_reason,
        "version": state.version,
    }
