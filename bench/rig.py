"""The rig: a running stack with the connections that the benchmark needs."""

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
"""The largest limit that the customer service accepts. No order of the benchmark is rejected."""

POLL_SECONDS = 0.01
DRAINED_POLL_SECONDS = 0.05
DRAINED_WITHIN_SECONDS = 600.0


@dataclass
class Rig:
    """A running stack with open connections.

    Attributes:
        stack: starts and stops components.
        settings: addresses and passwords of the engines.
        order, customer, history: HTTP connections to the services.
        nats: a connection to JetStream.
        orders, customers: the databases of the services.
        views: the view's database.
        generation: the generation of the view that was live when `refresh_generation` was last called.
        watermark: the highest order id when the path was last drained. Queries leave out the orders up to it.
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
    watermark: int = 0

    async def create_customer(self, name: str = "Jane Doe") -> int:
        """Creates a customer with the largest credit limit, and returns its id."""
        body = {"name": name, "creditLimit": {"amount": CREDIT_LIMIT}}
        return int((await self.customer.request_json(post("/customers", body)))["customerId"])

    async def create_customers(self, number: int) -> list[int]:
        return [await self.create_customer(f"Customer {i}") for i in range(number)]

    @property
    def view_orders(self) -> AsyncIOMotorCollection[Document]:
        """The collection of orders in the live generation of the view."""
        return self.views.generation(self.generation).orders

    async def refresh_generation(self) -> None:
        """Reads which generation of the view is live."""
        live = (await self.views.look()).live
        assert live is not None, "the history service is ready only when a generation is live"
        self.generation = live

    async def wait_until_drained(self, within: float = DRAINED_WITHIN_SECONDS) -> None:
        """Waits until every order is final in the database and in the view, and no consumer has a backlog.

        Raises:
            TimeoutError: the path is not drained after `within` seconds.
        """
        await wait_until(self._is_drained, within, DRAINED_POLL_SECONDS)
        await self.advance_watermark()

    async def advance_watermark(self) -> None:
        """Sets the watermark to the highest order id."""
        self.watermark = int(await self.orders.fetchval("SELECT coalesce(max(id), 0) FROM orders"))

    async def _is_drained(self) -> bool:
        """Cheap queries first. The last one shows that no event is between an outbox and the stream."""
        if await self._pending_orders() or any((await self.backlog()).values()):
            return False
        orders = await self.orders.fetchval("SELECT count(*) FROM orders WHERE id > $1", self.watermark)
        final = {"_id": {"$gt": self.watermark}, "state": {"$ne": "PENDING"}}
        return bool(orders == await self.view_orders.count_documents(final))

    async def _pending_orders(self) -> int:
        pending = "SELECT count(*) FROM orders WHERE state = 'PENDING' AND id > $1"
        return int(await self.orders.fetchval(pending, self.watermark))

    async def backlog(self) -> dict[str, int]:
        """By service, the number of messages that its durable consumer has not acknowledged."""
        consumers = {
            "customer": ORDERS_CONSUMER,
            "order": DECISIONS_CONSUMER,
            "history": consumer_of(self.generation),
        }
        return {service: (await progress(self.nats, consumer)).left for service, consumer in consumers.items()}

    async def stream_end(self) -> int:
        """The sequence of the last event in the stream."""
        return await last_sequence(self.nats, EVENTS)


async def wait_until(condition: Callable[[], Awaitable[bool]], within: float, interval: float = POLL_SECONDS) -> None:
    """Polls a condition every `interval` seconds until it holds.

    Raises:
        TimeoutError: it does not hold after `within` seconds.
    """
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110 - the state is in other processes: no event can be set
            await asyncio.sleep(interval)


@asynccontextmanager
async def open_rig(stack: Stack) -> AsyncIterator[Rig]:
    """Connects to a running stack, and closes the connections at the end."""
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
            await rig.refresh_generation()
            await rig.advance_watermark()
            yield rig
    finally:
        for pool in pools:
            pool.close()
        await nats.close()
        views.close()
