"""The stack under measurement and the connections that look at it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from motor.motor_asyncio import AsyncIOMotorCollection
from nats.aio.client import Client

from bench.client import Pool, post
from infra.native import Stack
from infra.provision.settings import Settings
from messaging.connection import connect
from messaging.progress import last_sequence, progress
from messaging.streams import EVENTS
from services.customer.subscriptions import ORDERS_CONSUMER
from services.history.subscriptions import consumer_of
from services.history.views import Document, Views
from services.order.subscriptions import DECISIONS_CONSUMER

CREDIT_LIMIT = 10**13
"""The largest that the customer service takes: no order of a benchmark is ever rejected."""

POLL_SECONDS = 0.01


@dataclass
class Rig:
    """A running stack with everything open.

    Attributes:
        stack: to start and stop components.
        settings: addresses and passwords of the engines.
        order, customer, history: HTTP connections to the services.
        nats: for positions in the stream.
        orders, customers: the services' databases.
        views: the history's view.
        generation: of the view, the one that was live at the last look.
        settled: the newest order when all was last quiet, or when the rig was opened; older ones are not looked at.
    """

    stack: Stack
    settings: Settings
    order: Pool
    customer: Pool
    history: Pool
    nats: Client
    orders: asyncpg.Pool
    customers: asyncpg.Pool
    views: Views
    generation: str = ""
    settled: int = 0

    async def create_customer(self, name: str = "Jane Doe") -> int:
        """A customer that can pay for everything, known to the view."""
        body = {"name": name, "creditLimit": {"amount": CREDIT_LIMIT}}
        return int((await self.customer.ask(post("/customers", body)))["customerId"])

    async def create_customers(self, number: int) -> list[int]:
        return [await self.create_customer(f"Customer {i}") for i in range(number)]

    @property
    def shown(self) -> AsyncIOMotorCollection[Document]:
        """The orders as the view shows them."""
        return self.views.generation(self.generation).orders

    async def look(self) -> None:
        """Notes which generation of the view is live."""
        live = (await self.views.look()).live
        assert live is not None, "the history service is ready only with a complete view"
        self.generation = live

    async def quiet(self, within: float = 600.0) -> None:
        """Waits until every order is final, and shown so by the view, and every consumer has acknowledged everything.

        Raises:
            TimeoutError: there is still something under way after `within` seconds.
        """
        await until(self._is_quiet, within, POLL_SECONDS * 5)
        await self.settle()

    async def settle(self) -> None:
        """From here on only newer orders count."""
        self.settled = int(await self.orders.fetchval("SELECT coalesce(max(id), 0) FROM orders"))

    async def _is_quiet(self) -> bool:
        """The cheap questions first; the last one tells that nothing is between an outbox and the stream."""
        if await self._pending_orders() or any((await self.backlog()).values()):
            return False
        final = await self.orders.fetchval("SELECT count(*) FROM orders WHERE id > $1", self.settled)
        shown = {"_id": {"$gt": self.settled}, "state": {"$ne": "PENDING"}}
        return bool(final == await self.shown.count_documents(shown))

    async def _pending_orders(self) -> int:
        pending = "SELECT count(*) FROM orders WHERE state = 'PENDING' AND id > $1"
        return int(await self.orders.fetchval(pending, self.settled))

    async def backlog(self) -> dict[str, int]:
        """By service, the messages that its durable consumer has not acknowledged yet."""
        consumers = {
            "customer": ORDERS_CONSUMER,
            "order": DECISIONS_CONSUMER,
            "history": consumer_of(self.generation),
        }
        return {service: (await progress(self.nats, consumer)).left for service, consumer in consumers.items()}

    async def stream_end(self) -> int:
        """The sequence of the last event in the stream."""
        return await last_sequence(self.nats, EVENTS)


async def until(reached: Callable[[], Awaitable[bool]], within: float, every: float = POLL_SECONDS) -> None:
    """Asks every so many seconds.

    Raises:
        TimeoutError: it takes longer than `within` seconds.
    """
    async with asyncio.timeout(within):
        while not await reached():  # noqa: ASYNC110 - it is somebody else's state: nobody would set an event
            await asyncio.sleep(every)


@asynccontextmanager
async def open_rig(stack: Stack) -> AsyncIterator[Rig]:
    """Connects to a running stack, and closes it again."""
    settings = Settings.read(stack.environment("keeper"))
    pools = order, customer, history = [Pool(stack.port(name)) for name in ("order", "customer", "history")]
    nats = await connect(settings.nats_url, settings.nats_token.get_secret_value(), "bench")
    views = Views(settings.mongodb_url.get_secret_value())
    try:
        async with (
            asyncpg.create_pool(settings.order_database_url.get_secret_value(), min_size=1, max_size=4) as orders,
            asyncpg.create_pool(settings.customer_database_url.get_secret_value(), min_size=1, max_size=4) as customers,
        ):
            rig = Rig(stack, settings, order, customer, history, nats, orders, customers, views)
            await rig.look()
            await rig.settle()
            yield rig
    finally:
        for pool in pools:
            pool.close()
        await nats.close()
        views.close()
