"""Reads a snapshot from the two databases, Kafka, JetStream and the view."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import nats.errors
from asyncpg.pool import PoolConnectionProxy
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from contracts.headers import ID, KAFKA_OFFSET, KAFKA_PARTITION, KAFKA_TOPIC, KAFKA_TOPIC_ID, MESSAGE_ID
from infra.provision.settings import Settings
from messaging.connection import connect
from messaging.progress import read_progress
from messaging.streams import DEAD_LETTERS, EVENTS, consumer_infos, request
from operations.snapshot import (
    Customer,
    CustomerInView,
    KafkaPosition,
    Order,
    OutboxEvent,
    Reservation,
    Snapshot,
    StreamMessage,
)
from services.bridge.kafka import KafkaRecords, Topic
from services.bridge.kafka_login import KafkaConfig
from services.bridge.translate import Record
from services.history.subscriptions import VIEW, consumer_of
from services.history.views import Views

TOPICS = ("events.customer", "events.order", "events.probe")

OUTBOX = "SELECT id::text, type, aggregatetype, aggregateid, payload->>'version' FROM outbox"
CUSTOMERS = "SELECT id, name, credit_limit_cents, reserved_cents, version FROM customers"
RESERVATIONS = "SELECT order_id, customer_id, amount_cents, state FROM credit_reservations"
ORDERS = "SELECT id, customer_id, total_cents, state, rejection_reason, version FROM orders"

READ_BATCH = 5_000
CONNECT_SECONDS = 5.0

QUIET: KafkaConfig = {"log_level": 0}
"""The client would print each refused connection itself."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Open connections to every part."""

    customers: asyncpg.Pool
    orders: asyncpg.Pool
    kafka: KafkaRecords
    nats: Client
    views: Views

    async def snapshot(self) -> Snapshot:
        """Reads all parts, effects before their causes: an effect without its cause is then wrong, never early."""
        view_customers, view_orders = await self._view()
        stream = [message async for message in stream_messages(self.nats)]
        topics = await self.kafka.describe(TOPICS)
        kafka = await self._kafka(topics)
        customers, reservations, customer_outbox = await self._customer_database()
        orders, order_outbox = await self._order_database()
        return Snapshot(
            view_customers=view_customers,
            view_orders=view_orders,
            stream=stream,
            kafka=kafka,
            topic_ids={topic.name: topic.id for topic in topics},
            customers=customers,
            reservations=reservations,
            orders=orders,
            outbox={**customer_outbox, **order_outbox},
            backlog=await self.backlog(),
            dead_letters=await self._dead_letters(),
        )

    async def backlog(self) -> Mapping[str, int]:
        """By durable consumer, how many messages it has not acknowledged yet; without those of replaced generations."""
        try:
            infos = await consumer_infos(self.nats, EVENTS)
        except NotFoundError:
            return {}
        of_the_view = {consumer_of(name).durable_name for name in (await self.views.look()).wanted}
        return {
            info["name"]: read_progress(info).left
            for info in infos
            if info["config"].get("durable_name")
            and (info["name"] in of_the_view or not info["name"].startswith(VIEW.name))
        }

    async def _dead_letters(self) -> Mapping[str, int]:
        try:
            info = await request(self.nats, f"STREAM.INFO.{DEAD_LETTERS}", {"subjects_filter": ">"})
        except NotFoundError:
            return {}
        subjects: dict[str, int] = info["state"].get("subjects") or {}
        return {subject.removeprefix("dead."): number for subject, number in subjects.items()}

    async def _customer_database(
        self,
    ) -> tuple[Mapping[int, Customer], Mapping[int, Reservation], Mapping[str, OutboxEvent]]:
        async with _read_only(self.customers) as connection:
            customers = {i: Customer(*rest) for i, *rest in await connection.fetch(CUSTOMERS)}
            reservations = {i: Reservation(*rest) for i, *rest in await connection.fetch(RESERVATIONS)}
            return customers, reservations, await _outbox("customer", connection)

    async def _order_database(self) -> tuple[Mapping[int, Order], Mapping[str, OutboxEvent]]:
        async with _read_only(self.orders) as connection:
            orders = {i: Order(*rest) for i, *rest in await connection.fetch(ORDERS)}
            return orders, await _outbox("order", connection)

    async def _view(self) -> tuple[Mapping[int, CustomerInView], Mapping[int, Order]]:
        live = (await self.views.look()).live
        if live is None:
            return {}, {}
        view = self.views.generation(live)
        customers = {d["_id"]: customer_in_view(d) async for d in view.every_customer()}
        orders = {d["_id"]: order_in_view(d) async for d in view.every_order()}
        return customers, orders

    async def _kafka(self, topics: list[Topic]) -> Mapping[KafkaPosition, str]:
        return {
            KafkaPosition(record.topic, record.partition, record.offset): _event_id(record)
            async for record in kafka_records(self.kafka, topics)
        }


@asynccontextmanager
async def open_sources(settings: Settings) -> AsyncIterator[Sources]:
    """Connects to all parts, and closes the connections at the end.

    Raises:
        one of operations.errors.OUTAGES: PostgreSQL or NATS does not answer. Kafka and MongoDB are first asked when
            they are read.
    """
    views = Views(settings.mongodb_url.get_secret_value())
    try:
        async with (
            open_nats(settings) as client,
            _open_pool(settings.customer_database_url.get_secret_value()) as customers,
            _open_pool(settings.order_database_url.get_secret_value()) as orders,
            KafkaRecords({**settings.kafka_login(), **QUIET}) as kafka,
        ):
            yield Sources(customers, orders, kafka, client, views)
    finally:
        views.close()


@asynccontextmanager
async def open_nats(settings: Settings) -> AsyncIterator[Client]:
    """A connection to NATS, closed at the end.

    Raises:
        nats.errors.NoServersError: nobody answered for CONNECT_SECONDS, or the server refused the token.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            client = await connect(settings.nats_url, settings.nats_token.get_secret_value(), "operations")
    except TimeoutError as error:
        raise nats.errors.NoServersError from error
    try:
        yield client
    finally:
        await client.close()


def _open_pool(url: str) -> asyncpg.Pool:
    return asyncpg.create_pool(url, min_size=1, max_size=2, timeout=CONNECT_SECONDS)


@asynccontextmanager
async def _read_only(pool: asyncpg.Pool) -> AsyncIterator[PoolConnectionProxy]:
    """A transaction whose queries all see the database as it is at the first one."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        yield connection


async def _outbox(service: str, connection: PoolConnectionProxy) -> Mapping[str, OutboxEvent]:
    return {
        event_id: OutboxEvent(service, event_type, aggregate_type, aggregate_id, _version(version))
        for event_id, event_type, aggregate_type, aggregate_id, version in await connection.fetch(OUTBOX)
    }


def _version(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def customer_in_view(document: Mapping[str, Any]) -> CustomerInView:
    """From a document of the view's customers."""
    return CustomerInView(document["name"], document["creditLimit"], document["version"])


def order_in_view(document: Mapping[str, Any]) -> Order:
    """From a document of the view's orders."""
    return Order(*(document[name] for name in ("customerId", "total", "state", "reason", "version")))


async def stream_messages(client: Client, first: int = 1) -> AsyncIterator[StreamMessage]:
    """The stream's messages from a sequence up to its present end, without their payloads and without retries."""
    try:
        state = (await request(client, f"STREAM.INFO.{EVENTS}"))["state"]
    except NotFoundError:
        return
    if state["messages"] == 0 or state["last_seq"] < first:
        return
    config = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=first, headers_only=True)
    subscription = await client.jetstream().subscribe("events.>", stream=EVENTS, ordered_consumer=True, config=config)
    try:
        while True:
            message = await subscription.next_msg(timeout=10)
            headers, metadata = message.headers or {}, message.metadata
            if KAFKA_TOPIC in headers:  # a redelivered dead letter has no position in Kafka
                yield _stream_message(headers, metadata.sequence.stream, metadata.timestamp)
            if metadata.sequence.stream >= state["last_seq"]:
                return
    finally:
        await subscription.unsubscribe()


async def kafka_records(kafka: KafkaRecords, topics: list[Topic]) -> AsyncIterator[Record]:
    """The records of these topics, up to their present ends."""
    ends = await kafka.ends(topics)
    left = {partition for partition, (first, end) in ends.items() if end > first}
    await kafka.start(topics, {})
    while left:
        for record in await kafka.take(READ_BATCH):
            partition = (record.topic, record.partition)
            if partition in left:
                yield record
                if record.offset + 1 >= ends[partition][1]:
                    left.discard(partition)
        await asyncio.sleep(0)


def _event_id(record: Record) -> str:
    return (dict(record.headers).get(ID) or b"").decode()


def _stream_message(headers: Mapping[str, str], sequence: int, stored_at: datetime) -> StreamMessage:
    position = KafkaPosition(headers[KAFKA_TOPIC], int(headers[KAFKA_PARTITION]), int(headers[KAFKA_OFFSET]))
    return StreamMessage(sequence, headers.get(MESSAGE_ID, ""), headers[KAFKA_TOPIC_ID], position, stored_at)
