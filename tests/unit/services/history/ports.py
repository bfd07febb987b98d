"""The history's view in memory. Implements services.history.ports.Views and Generation."""

from collections.abc import Sequence

from services.history.generations import Generations
from services.history.ports import Document
from services.history.projection import Changes
from services.history.views import ViewBeingBuilt


class FakeGeneration:
    """One generation; remembers the newest states and whether it was prepared or dropped."""

    def __init__(self) -> None:
        self.prepared = False
        self.dropped = False
        self.changes = Changes()

    async def prepare(self) -> None:
        self.prepared = True

    async def apply(self, changes: Changes) -> None:
        self.changes.customers |= changes.customers
        self.changes.orders |= changes.orders

    async def drop(self) -> None:
        self.dropped = True


class FakeViews:
    """Generations of the view in memory.

    Attributes:
        away: the error that every call raises, while MongoDB is away.
        looks: how often `look` was called.
    """

    def __init__(self, generations: Generations | None = None) -> None:
        self.generations = generations or Generations()
        self.made: dict[str, FakeGeneration] = {}
        self.away: Exception | None = None
        self.looks = 0

    async def ping(self) -> str | None:
        self._require_present()
        return None

    def generation(self, name: str) -> FakeGeneration:
        return self.made.setdefault(name, FakeGeneration())

    async def look(self) -> Generations:
        self._require_present()
        self.looks += 1
        return self.generations

    async def begin(self) -> str | None:
        self._require_present()
        if self.generations.building:
            return None
        self.generations = Generations(self.generations.live, f"g{len(self.made) + 1}", self.generations.live_for)
        return self.generations.building

    async def swap(self, name: str) -> bool:
        self._require_present()
        if self.generations.building != name:
            return False
        self.generations = Generations(live=name)
        return True

    async def stored(self) -> set[str]:
        return {name for name, generation in self.made.items() if not generation.dropped}

    async def find_customer(self, customer_id: int) -> tuple[Document, Sequence[Document]] | None:
        customer = self._live().customers.get(customer_id)
        if customer is None:
            return None
        orders = await self.list_orders(customer_id, None, 100) or []
        return {"_id": customer_id, "name": customer.name, "creditLimit": customer.credit_limit.cents}, orders

    async def list_orders(self, customer_id: int, below: int | None, limit: int) -> Sequence[Document] | None:
        live = self._live()
        if customer_id not in live.customers:
            return None
        ids = sorted((n for n, order in live.orders.items() if order.customer_id == customer_id), reverse=True)
        return [self._document(n) for n in ids if below is None or n < below][:limit]

    async def count_customers(self) -> int:
        return len(self._live().customers)

    async def find_order(self, order_id: int) -> Document | None:
        return self._document(order_id) if order_id in self._live().orders else None

    def _document(self, order_id: int) -> Document:
        order = self._live().orders[order_id]
        return {
            "_id": order_id,
            "customerId": order.customer_id,
            "total": order.order_total.cents,
            "state": order.state,
            "reason": order.rejection_reason,
        }

    def _live(self) -> Changes:
        self._require_present()
        if self.generations.live is None:
            raise ViewBeingBuilt
        return self.generation(self.generations.live).changes

    def _require_present(self) -> None:
        if self.away:
            raise self.away
