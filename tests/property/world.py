"""The three services over engines of their own, and a path from the outboxes to the stream that keeps no order.

The services are put together by their own `assemble`, over real PostgreSQL, JetStream and MongoDB. Clients' requests go
through their HTTP applications, in this process. Only Debezium, Kafka and the bridge are missing: the test itself takes
the rows from the outboxes to the stream, in any order and as often as it likes.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
from motor.motor_asyncio import AsyncIOMotorClient
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from contracts.headers import ID, TYPE
from messaging.connection import Connection, open_connection
from messaging.streams import DEAD_LETTERS, EVENTS, ensure_stream, request
from messaging.subscriber import Subscriber
from runtime.housekeeping import Housekeeping
from runtime.workers import Worker
from services.customer import app as customer_app
from services.customer import service as customer_service
from services.customer.ports import Ports as CustomerPorts
from services.customer.repository import Repository as CustomerRepository
from services.customer.settings import Settings as CustomerSettings
from services.history import service as history_service
from services.history.ports import Ports as HistoryPorts
from services.history.settings import Settings as HistorySettings
from services.history.views import Document, Generation, Views
from services.history.watch import Watch
from services.order import app as order_app
from services.order import service as order_service
from services.order.ports import Ports as OrderPorts
from services.order.repository import Repository as OrderRepository
from services.order.settings import Settings as OrderSettings
from storage.postgres import PostgresDatabase, open_pool
from tests.engines import TOKEN, NatsServer, migrated_database
from web.application import Service, http_app

CONNECTIONS = 8
"""Opened before the test. Otherwise work that is meant to run at once would wait while each connection is opened."""

ORDER_INSTANCES = 2

NAMES = ("customer", "order", "history")

OUTBOX = "SELECT id::text, aggregatetype, type, payload::text FROM outbox ORDER BY id"

# Every new order is older than the deadline, so the deadline's chore rejects it as soon as it runs.
BACKDATE_ORDERS = "ALTER TABLE orders ALTER COLUMN created_at SET DEFAULT now() - interval '1 day'"

AGE_KEYS = "UPDATE idempotency_keys SET created_at = created_at - interval '2 days'"


@dataclass(frozen=True, slots=True)
class Sent:
    """An outbox row that was sent to the stream."""

    event_id: str
    aggregate: str
    type: str
    payload: str


@dataclass(frozen=True, slots=True)
class Stores:
    """The real engines that the services are assembled over."""

    customers: asyncpg.Pool
    orders: asyncpg.Pool
    views: Views
    mongo: AsyncIOMotorClient[Document]
    stream: Connection


class World:
    """The assembled services, their HTTP applications, and the path from their outboxes to the stream.

    Args:
        services: by name; several instances of the order service.
        http: a client for each of them.
        client: the connection to the NATS server.
    """

    def __init__(
        self,
        stores: Stores,
        services: dict[str, list[Service]],
        http: dict[str, list[httpx.AsyncClient]],
        client: Client,
    ) -> None:
        self.customers, self.orders, self.views, self.client = stores.customers, stores.orders, stores.views, client
        self._services = services
        self.http = http
        self._mongo = stores.mongo
        self._generation = ""
        self._sent: list[Sent] = []

    @property
    def view(self) -> Generation:
        """The live generation of the view."""
        return self.views.generation(self._generation)

    def subscriber(self, name: str) -> Subscriber:
        """The consuming side of a service, as its `assemble` made it."""
        subscriber = self._worker(name, "watch" if name == "history" else "subscriber")
        if isinstance(subscriber, Watch):
            subscriber = subscriber.fill(self._generation)
        assert isinstance(subscriber, Subscriber)
        return subscriber

    def _worker(self, service: str, name: str) -> Worker:
        return self._services[service][0].workers[name]

    async def clear(self) -> None:
        """Empties everything; ids begin at 1 again. Cheaper than a new world."""
        await self.customers.execute(
            "TRUNCATE customers, credit_reservations, outbox, idempotency_keys RESTART IDENTITY"
        )
        await self.orders.execute("TRUNCATE orders, outbox, idempotency_keys RESTART IDENTITY")
        await self.wipe_view()
        for stream in (EVENTS, DEAD_LETTERS):
            await self._make_anew(stream)
        self._sent = []

    async def wipe_view(self) -> None:
        """Deletes the view. A new generation, with a durable consumer of its own, takes its place."""
        await self._mongo.drop_database(self._mongo.get_default_database())
        generation = await self.views.begin()
        assert generation is not None
        self._generation = generation
        await self.subscriber("history").prepare()
        assert await self.views.swap(generation)

    async def _make_anew(self, stream: str) -> None:
        with suppress(NotFoundError):  # before the first example there is none
            await request(self.client, f"STREAM.DELETE.{stream}")
        await ensure_stream(self.client, stream)

    # Chores, as the services' housekeeping runs them

    async def reject_overdue(self) -> None:
        """Runs the deadline's chore, for which every pending order is overdue."""
        await self._do("order", "deadline", "overdue orders")

    async def expire_keys(self) -> int:
        """Lets all idempotency keys be older than their retention, and returns how many were deleted."""
        await self.orders.execute(AGE_KEYS)
        assert await self._do("order", "housekeeping", "outbox") == 0
        return await self._do("order", "housekeeping", "idempotency keys")

    async def _do(self, service: str, worker: str, chore: str) -> int:
        housekeeping = self._worker(service, worker)
        assert isinstance(housekeeping, Housekeeping)
        total = 0
        while rows := await housekeeping.chores[chore]():
            total += rows
        return total

    # The path from the outboxes to the stream

    async def unsent(self) -> list[Sent]:
        """The outboxes' rows that are not in the stream, oldest first.

        They are told by the ids that were sent, not by the last id: ids are in the order of inserts, not of commits.
        """
        sent = {event.event_id for event in self._sent}
        rows = [row for pool in (self.customers, self.orders) for row in await pool.fetch(OUTBOX)]
        return [Sent(*row) for row in rows if row["id"] not in sent]

    async def publish(self, ranks: Sequence[int] = (), limit: int | None = None, repeats: Sequence[int] = ()) -> None:
        """Stores new events in the stream.

        Args:
            ranks: of the oldest, the next and so on, 0 for those without; a higher rank is stored later.
            limit: most events; the others are not sent yet.
            repeats: which events, counted from the first that was ever sent, are then stored once more.
        """
        unsent = await self.unsent()
        ranks = [*ranks, *[0] * len(unsent)]
        order = sorted(range(len(unsent)), key=ranks.__getitem__)
        self._sent += (new := [unsent[place] for place in order][:limit])
        for event in [*new, *(self._sent[number % len(self._sent)] for number in repeats if self._sent)]:
            await self._store(event)

    async def _store(self, event: Sent) -> None:
        # Without Nats-Msg-Id, so the server's deduplication hides no repeat from the handlers.
        headers = {ID: event.event_id, TYPE: event.type}
        subject = f"events.{event.aggregate}.0.{event.type}"
        await self.client.jetstream().publish(subject, event.payload.encode(), headers=headers, stream=EVENTS)


@asynccontextmanager
async def open_world(postgres_url: str, mongodb_url: str, nats: NatsServer) -> AsyncIterator[World]:
    """Opens everything; the databases are dropped afterwards.

    Args:
        postgres_url: an administrator's, for two databases.
        mongodb_url: an administrator's, with the name of a database that may be dropped.
        nats: running, and used by nobody else.
    """
    async with AsyncExitStack() as opened:
        customers, orders = [await _open_pool(opened, postgres_url, service) for service in ("customer", "order")]
        mongo = AsyncIOMotorClient[Document](mongodb_url)
        opened.callback(mongo.close)
        opened.push_async_callback(mongo.drop_database, mongo.get_default_database())
        views = opened.enter_context(closing(Views(mongodb_url)))
        stream = await opened.enter_async_context(open_connection(nats.url, TOKEN, "property test"))
        stores = Stores(customers, orders, views, mongo, stream)
        services = await _assemble(stores)
        await orders.execute(BACKDATE_ORDERS)
        http = {name: [await _open_http(opened, each) for each in instances] for name, instances in services.items()}
        yield World(stores, services, http, await stream.client())


async def _assemble(stores: Stores) -> dict[str, list[Service]]:
    """The services as production puts them together."""
    common: dict[str, Any] = {"http_port": 0, "nats_url": "", "nats_token": ""}
    customer_settings = CustomerSettings(database_url="", **common)
    order_settings = OrderSettings(database_url="", order_deadline_seconds=3_600, **common)
    customer_database = PostgresDatabase(stores.customers, customer_app.MIGRATIONS)
    order_database = PostgresDatabase(stores.orders, order_app.MIGRATIONS)
    for database in (customer_database, order_database):
        await database.wait_for_schema()
    customer_ports = CustomerPorts(customer_database, CustomerRepository(stores.customers), stores.stream)
    order_ports = OrderPorts(order_database, OrderRepository(stores.orders), stores.stream)
    history_ports = HistoryPorts(stores.views, stores.stream)
    return {
        "customer": [customer_service.assemble(customer_ports, customer_settings)],
        "order": [order_service.assemble(order_ports, order_settings) for _ in range(ORDER_INSTANCES)],
        "history": [history_service.assemble(history_ports, HistorySettings(mongodb_url="", **common))],
    }


async def _open_http(opened: AsyncExitStack, service: Service) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(http_app(service))
    return await opened.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://service"))


async def _open_pool(opened: AsyncExitStack, admin_url: str, service: str) -> asyncpg.Pool:
    url = await opened.enter_async_context(migrated_database(admin_url, service))
    pool = await opened.enter_async_context(open_pool(url, "property test"))
    for connection in [await pool.acquire() for _ in range(CONNECTIONS)]:
        await pool.release(connection)
    return pool
