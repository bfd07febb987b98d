"""The three services over engines of their own, and a road from the outboxes to the stream that is as bad as it likes.

Everything is the real thing but Debezium, Kafka and the bridge: in their place the test itself takes the rows from the
outboxes to the stream. They keep an aggregate's events in order; the road here keeps nothing.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
from hypothesis import note
from motor.motor_asyncio import AsyncIOMotorClient
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from contracts.headers import ID, TYPE
from contracts.money import Money, PositiveMoney
from messaging.connection import connect
from messaging.streams import DEAD_LETTERS, EVENTS, ensure_stream, request
from services.customer.handlers import create_customer
from services.customer.repository import Repository as CustomerRepository
from services.customer.requests import CreateCustomer
from services.history.views import Generation, Views
from services.order.domain import NotCancellable
from services.order.handlers import cancel_order, create_order, reject_overdue_orders
from services.order.repository import Repository as OrderRepository
from services.order.requests import CreateOrder
from services.order.waiting import Waiting
from storage.postgres import open_pool
from tests.engines import TOKEN, NatsServer, migrated_database

CONNECTIONS = 8
"""Opened before the test, or what is meant to run at once would run while one connects after the other."""

OUTBOX = "SELECT id::text, aggregatetype, type, payload::text FROM outbox ORDER BY id"


@dataclass(frozen=True, slots=True)
class Sent:
    """An outbox row on its way to the stream."""

    event_id: str
    aggregate: str
    type: str
    payload: str


class World:
    """The services' stores, what clients may ask of them, and the road to the stream.

    Attributes:
        view: the history's, its only generation, in a MongoDB database of its own.
        client: a connection to a NATS server of its own.
    """

    def __init__(
        self, customers: asyncpg.Pool, orders: asyncpg.Pool, view: Generation, mongo: AsyncIOMotorClient, client: Client
    ) -> None:
        self.customers, self.orders, self.view, self.client = customers, orders, view, client
        self.customer_repository = CustomerRepository(customers)
        self.order_repository = OrderRepository(orders)
        self.waiting = Waiting()
        self._mongo = mongo
        self._sent: list[Sent] = []

    async def clear(self) -> None:
        """An empty world again, with ids from 1 on; cheaper than a new one."""
        await self.customers.execute("TRUNCATE customers, credit_reservations, outbox RESTART IDENTITY")
        await self.orders.execute("TRUNCATE orders, outbox RESTART IDENTITY")
        await self.wipe_view()
        for stream in (EVENTS, DEAD_LETTERS):
            await self._make_anew(stream)
        self._sent = []

    async def wipe_view(self) -> None:
        """An empty view; the history's place in the stream is left where it is."""
        await self._mongo.drop_database(self._mongo.get_default_database())
        await self.view.prepare()

    async def _make_anew(self, stream: str) -> None:
        with suppress(NotFoundError):  # at first there is none
            await request(self.client, f"STREAM.DELETE.{stream}")
        await ensure_stream(self.client, stream)

    # What clients ask for; amounts in cents

    async def create_customer(self, limit: int) -> int:
        command = CreateCustomer(name="Jane Doe", credit_limit=Money.of(limit))
        return await create_customer(self.customer_repository, command, None, None)

    async def place_order(self, customer_id: int, total: int) -> int:
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

    # The road

    async def unsent(self) -> list[Sent]:
        """The outboxes' rows that are not in the stream, oldest first.

        By what was sent, not by the last id: ids are in the order of the inserts, not of the commits.
        """
        sent = {event.event_id for event in self._sent}
        rows = [row for pool in (self.customers, self.orders) for row in await pool.fetch(OUTBOX)]
        return [Sent(*row) for row in rows if row["id"] not in sent]

    async def publish(self, ranks: Sequence[int] = (), limit: int | None = None, repeats: Sequence[int] = ()) -> None:
        """Stores new events in the stream.

        Args:
            ranks: of the oldest, the next and so on, 0 for those without; a higher rank comes later.
            limit: most events; the others stay on the road.
            repeats: which events, counted from the first that was ever sent, are then stored once more.
        """
        unsent = await self.unsent()
        ranks = [*ranks, *[0] * len(unsent)]
        order = sorted(range(len(unsent)), key=ranks.__getitem__)
        self._sent += (new := [unsent[place] for place in order][:limit])
        for event in [*new, *(self._sent[number % len(self._sent)] for number in repeats if self._sent)]:
            await self._store(event)

    async def _store(self, event: Sent) -> None:
        # Without Nats-Msg-Id: the server's deduplication must not save anybody.
        headers = {ID: event.event_id, TYPE: event.type}
        subject = f"events.{event.aggregate}.0.{event.type}"
        await self.client.jetstream().publish(subject, event.payload.encode(), headers=headers, stream=EVENTS)


@asynccontextmanager
async def open_world(postgres_url: str, mongodb_url: str, nats: NatsServer) -> AsyncIterator[World]:
    """Opens everything; the databases are dropped afterwards.

    Args:
        postgres_url: an administrator's, for two databases.
        mongodb_url: an administrator's, with the name of a database that may be dropped.
        nats: running, and nobody else's.
    """
    async with AsyncExitStack() as opened:
        pools = [await _open_pool(opened, postgres_url, service) for service in ("customer", "order")]
        mongo = AsyncIOMotorClient(mongodb_url)
        opened.callback(mongo.close)
        opened.push_async_callback(mongo.drop_database, mongo.get_default_database())
        views = Views(mongodb_url)
        opened.callback(views.close)
        client = await connect(nats.url, TOKEN, "property test")
        opened.push_async_callback(client.close)
        yield World(*pools, views.generation("only"), mongo, client)


async def _open_pool(opened: AsyncExitStack, admin_url: str, service: str) -> asyncpg.Pool:
    url = await opened.enter_async_context(migrated_database(admin_url, service))
    pool = await opened.enter_async_context(open_pool(url, "property test"))
    for connection in [await pool.acquire() for _ in range(CONNECTIONS)]:
        await pool.release(connection)
    return pool
