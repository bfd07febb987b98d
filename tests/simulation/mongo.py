"""The view in a simulated MongoDB: each document changes whole, a batch of documents does not."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pymongo.errors import AutoReconnect

from services.history.events import CustomerState, OrderState
from services.history.generations import Generations
from services.history.projection import Changes
from services.history.views import NEWEST_ORDERS, ViewBeingBuilt
from tests.simulation.process import Life
from tests.simulation.world import World

Document = Mapping[str, Any]
R = TypeVar("R")

KINDS = ("customers", "orders")

OnWrite = Callable[[str, Document | None, Document], None]
"""Is called with a collection's name and a document, before (None if there was none) and after a change."""


class Mongo:
    """The server.

    Args:
        on_write: checks each document that was changed.
        on_swap: checks the generation that was swapped in.
        on_drop: checks a generation that is going to be dropped.
    """

    def __init__(
        self,
        world: World,
        on_write: OnWrite | None = None,
        on_swap: Callable[[], None] | None = None,
        on_drop: Callable[[str], None] | None = None,
    ) -> None:
        self.world = world
        self.up = True
        self.collections: dict[str, dict[int, Document]] = {}
        self.generations = Generations()
        self._swapped_at = 0.0
        self._begun = 0
        self._on_write = on_write
        self._on_swap = on_swap
        self._on_drop = on_drop

    def wipe(self) -> None:
        self.collections.clear()
        self.generations = Generations()

    def shown(self, kind: str) -> dict[int, Document]:
        """The live generation's customers or orders."""
        return self.collections.get(f"{kind}_{self.generations.live}", {})

    def look(self) -> Generations:
        """Which generations count."""
        live_for = self.world.now - self._swapped_at if self.generations.live else 0.0
        return replace(self.generations, live_for=live_for)

    def begin(self) -> str | None:
        """The name of a new generation; None while another one is being built."""
        if self.generations.building:
            return None
        self._begun += 1
        self.generations = replace(self.generations, building=f"g{self._begun}")
        return self.generations.building

    def swap(self, name: str) -> bool:
        """Makes the generation live, if it is the one that is being built."""
        if self.generations.building != name:
            return False
        if self.generations.live:
            self.world.struck("view swapped in beside a live one")
        self.generations = Generations(live=name)
        self._swapped_at = self.world.now
        self.world.note("mongo", "generation %s is live", name)
        if self._on_swap:
            self._on_swap()
        return True

    def stored(self) -> set[str]:
        return {name.partition("_")[2] for name in self.collections}

    def drop(self, generation: str) -> None:
        if self._on_drop:
            self._on_drop(generation)
        for kind in KINDS:
            self.collections.pop(f"{kind}_{generation}", None)

    def take_if_newer(self, collection: str, document: Document) -> None:
        """One document's update, atomic; a collection exists as soon as something is written to it."""
        self.check()
        documents = self.collections.setdefault(collection, {})
        present = documents.get(document["_id"])
        if present is None or document["version"] > present["version"]:
            documents[document["_id"]] = document
            if self._on_write:
                self._on_write(collection, present, document)

    def check(self) -> None:
        if not self.up:
            raise AutoReconnect("connection closed")

    async def call(self, life: Life, effect: Callable[[], R]) -> R:
        """One round trip of a process. If only the answer is lost, the effect remains."""
        await life.io()
        self.check()
        answer = effect()
        await life.io()
        self.check()
        return answer


class Generation:
    """One generation of the view. Implements services.history.ports.Generation."""

    def __init__(self, mongo: Mongo, life: Life, name: str) -> None:
        self._mongo = mongo
        self._life = life
        self._name = name

    async def prepare(self) -> None:
        await self._life.io()
        self._mongo.check()
        self._mongo.collections.setdefault(f"orders_{self._name}", {})

    async def drop(self) -> None:
        await self._life.io()
        self._mongo.check()
        self._mongo.drop(self._name)

    async def apply(self, changes: Changes) -> None:
        updates = [("customers", _customer(state)) for state in changes.customers.values()]
        updates += [("orders", _order(state)) for state in changes.orders.values()]
        await self._life.io()
        self._mongo.check()
        # An unordered bulk: in any order, and a crash leaves a part of it undone.
        for kind, document in self._mongo.world.rng.sample(updates, len(updates)):
            self._mongo.take_if_newer(f"{kind}_{self._name}", document)
            if self._mongo.world.rng.random() < 0.2:
                await self._life.io()
        await self._life.io()
        self._mongo.check()

    async def find_customer(self, customer_id: int) -> tuple[Document, list[Document]] | None:
        customer, orders = await self._customer_and_orders(customer_id)
        return (customer, orders[:NEWEST_ORDERS]) if customer else None

    async def list_orders(self, customer_id: int, below: int | None, limit: int) -> list[Document] | None:
        customer, orders = await self._customer_and_orders(customer_id)
        return [order for order in orders if below is None or order["_id"] < below][:limit] if customer else None

    async def count_customers(self) -> int:
        return len(await self._read("customers"))

    async def find_order(self, order_id: int) -> Document | None:
        return (await self._read("orders")).get(order_id)

    async def _customer_and_orders(self, customer_id: int) -> tuple[Document | None, list[Document]]:
        """The orders with the highest id first. Two reads, so something may be written between them."""
        customer = (await self._read("customers")).get(customer_id)
        orders = [order for order in (await self._read("orders")).values() if order["customerId"] == customer_id]
        return customer, sorted(orders, key=lambda order: -order["_id"])

    async def _read(self, kind: str) -> dict[int, Document]:
        return await self._mongo.call(self._life, lambda: dict(self._mongo.collections.get(f"{kind}_{self._name}", {})))


class Views:
    """All generations of the view. Implements services.history.ports.Views."""

    def __init__(self, mongo: Mongo, life: Life) -> None:
        self._mongo = mongo
        self._life = life
        self._live: str | None = None

    async def ping(self) -> str | None:
        return await self._call(lambda: None)

    def generation(self, name: str) -> Generation:
        return Generation(self._mongo, self._life, name)

    async def look(self) -> Generations:
        generations = await self._call(self._mongo.look)
        self._live = generations.live
        return generations

    async def begin(self) -> str | None:
        return await self._call(self._mongo.begin)

    async def swap(self, name: str) -> bool:
        return await self._call(lambda: self._mongo.swap(name))

    async def stored(self) -> set[str]:
        return await self._call(self._mongo.stored)

    async def find_customer(self, customer_id: int) -> tuple[Document, list[Document]] | None:
        return await self._read(lambda live: live.find_customer(customer_id))

    async def list_orders(self, customer_id: int, below: int | None, limit: int) -> list[Document] | None:
        return await self._read(lambda live: live.list_orders(customer_id, below, limit))

    async def count_customers(self) -> int:
        return await self._read(lambda live: live.count_customers())

    async def find_order(self, order_id: int) -> Document | None:
        return await self._read(lambda live: live.find_order(order_id))

    async def _read(self, read: Callable[[Generation], Awaitable[R]]) -> R:
        """As services.history.views.Views._read: a read counts if its generation is still live after it."""
        live = self._live or (await self.look()).live
        while live:
            found = await read(self.generation(live))
            live, before = (await self.look()).live, live
            if live == before:
                return found
        raise ViewBeingBuilt

    async def _call(self, effect: Callable[[], R]) -> R:
        return await self._mongo.call(self._life, effect)


def _customer(state: CustomerState) -> Document:
    return {
        "_id": state.customer_id,
        "name": state.name,
        "creditLimit": state.credit_limit.cents,
        "version": state.version,
    }


def _order(state: OrderState) -> Document:
    return {
        "_id": state.order_id,
        "customerId": state.customer_id,
        "total": state.order_total.cents,
        "state": state.state,
        "reason": state.rejection_reason,
        "version": state.version,
    }
