"""The view in a simulated MongoDB: each document changes whole, a batch of them does not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from pymongo.errors import AutoReconnect

from services.history.generations import Generations
from services.history.projection import Changes
from tests.simulation.process import Life
from tests.simulation.world import World

Document = dict[str, Any]
R = TypeVar("R")

KINDS = ("customers", "orders")

OnWrite = Callable[[str, Document | None, Document], None]
"""Told of a collection's document, before (None if there was none) and after."""


class Mongo:
    """The server.

    Args:
        on_write: looks at each document that was changed.
        on_swap: looks at what was swapped in.
        on_drop: looks at a generation that is going to be dropped.
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
        self._made = 0
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
        self._made += 1
        self.generations = replace(self.generations, building=f"g{self._made}")
        return self.generations.building

    def swap(self, name: str) -> bool:
        """Makes it live, if it is the one that is being built."""
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
        """One document's update, atomic; a collection is there as soon as something is written to it."""
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


class Generation:
    """As services.history.views.Generation, as far as the handlers and the tests use it."""

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
        # An unordered bulk: in any order, and a crash leaves some of it undone.
        for kind, document in self._mongo.world.rng.sample(updates, len(updates)):
            self._mongo.take_if_newer(f"{kind}_{self._name}", document)
            if self._mongo.world.rng.random() < 0.2:
                await self._life.io()
        await self._life.io()
        self._mongo.check()

    async def find_customer(self, customer_id: int) -> tuple[Document, list[Document]] | None:
        customer = (await self._collection("customers")).get(customer_id)
        orders = [order for order in (await self._collection("orders")).values() if order["customerId"] == customer_id]
        return (customer, sorted(orders, key=lambda order: -order["_id"])) if customer else None

    async def find_order(self, order_id: int) -> Document | None:
        return (await self._collection("orders")).get(order_id)

    async def _collection(self, kind: str) -> dict[int, Document]:
        await self._life.io()
        self._mongo.check()
        return self._mongo.collections.get(f"{kind}_{self._name}", {})


class Views:
    """As services.history.views.Views, as far as the watch and the tests use it."""

    def __init__(self, mongo: Mongo, life: Life) -> None:
        self._mongo = mongo
        self._life = life

    def generation(self, name: str) -> Generation:
        return Generation(self._mongo, self._life, name)

    async def look(self) -> Generations:
        return await self._call(self._mongo.look)

    async def begin(self) -> str | None:
        return await self._call(self._mongo.begin)

    async def swap(self, name: str) -> bool:
        return await self._call(lambda: self._mongo.swap(name))

    async def stored(self) -> set[str]:
        return await self._call(self._mongo.stored)

    async def _call(self, effect: Callable[[], R]) -> R:
        """There and back; an answer that is lost on the way does not undo the effect."""
        await self._life.io()
        self._mongo.check()
        answer = effect()
        await self._life.io()
        self._mongo.check()
        return answer


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
