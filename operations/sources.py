"""Where a snapshot is read from: the two databases, Kafka, JetStream and the view."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from contracts.headers import ID, KAFKA_OFFSET, KAFKA_PARTITION, KAFKA_TOPIC, KAFKA_TOPIC_ID, MESSAGE_ID
from infra.provision.settings import Settings
from messaging.connection import connect
from messaging.progress import read_progress
from messaging.streams import DEAD_LETTERS, EVENTS, consumer_infos, request
from operations.snapshot import Customer, KafkaPosition, Order, OutboxEvent, Reservation, Snapshot, StreamMessage
from services.bridge.kafka import KafkaRecords, Topic
from services.bridge.translate import Record
from services.history.subscriptions import VIEW, consumer_of
from services.history.views import Views

TOPICS = ("events.customer", "events.order", "events.probe")

OUTBOX = "SELECT id::text, type, aggregatetype, aggregateid FROM outbox"
CUSTOMERS = "SELECT id, name, credit_limit_cents, reserved_cents FROM customers"
RESERVATIONS = "SELECT order_id, customer_id, amount_cents, state FROM credit_reservations"
ORDERS = "SELECT id, customer_id, total_cents, state, rejection_reason, version FROM orders"

READ_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Sources:
    """Open connections to every part."""

    customers: asyncpg.Pool
    orders: asyncpg.Pool
    kafka: KafkaRecords
    nats: Client
    views: Views

    async def snapshot(self) -> Snapshot:
        """Reads everything: effects before their causes, so that what is under way looks unfinished, not invented."""
        view_customers, view_orders = await self._view()
        stream = await self._stream()
        topics = await self.kafka.describe(TOPICS)
        kafka = await self._kafka(topics)
        reservations = await self._reservations()
        return Snapshot(
            view_customers=view_customers,
            view_orders=view_orders,
            stream=stream,
            kafka=kafka,
            topic_ids={topic.name: topic.id for topic in topics},
            reservations=reservations,
            customers=await self._customers(),
            orders=await self._orders(),
            outbox=await self._outboxes(),
            backlog=await self.backlog(),
            dead_letters=await self._dead_letters(),
        )

    async def backlog(self) -> Mapping[str, int]:
        """By durable consumer, the messages that it has not acknowledged yet; without those of swapped out views."""
        try:
            infos = await consumer_infos(self.nats, EVENTS)
        except NotFoundError:
            return {}
        wanted = {consumer_of(name).durable_name for name in (await self.views.look()).wanted}
        return {
            info["name"]: read_progress(info).left
            for info in infos
            if info["config"].get("durable_name") and (info["name"] in wanted or not info["name"].startswith(VIEW.name))
        }

    async def _dead_letters(self) -> Mapping[str, int]:
        try:
            info = await request(self.nats, f"STREAM.INFO.{DEAD_LETTERS}", {"subjects_filter": ">"})
        except NotFoundError:
            return {}
        subjects: dict[str, int] = info["state"].get("subjects") or {}
        return {subject.removeprefix("dead."): number for subject, number in subjects.items()}

    async def _outboxes(self) -> Mapping[str, OutboxEvent]:
        events: dict[str, OutboxEvent] = {}
        for service, pool in (("customer", self.customers), ("order", self.orders)):
            for event_id, kind, aggregate_type, aggregate_id in await pool.fetch(OUTBOX):
                events[event_id] = OutboxEvent(service, kind, aggregate_type, aggregate_id)
        return events

    async def _customers(self) -> Mapping[int, Customer]:
        return {
            i: Customer(name, limit, reserved) for i, name, limit, reserved in await self.customers.fetch(CUSTOMERS)
        }

    async def _reservations(self) -> Mapping[int, Reservation]:
        rows = await self.customers.fetch(RESERVATIONS)
        return {order_id: Reservation(customer, amount, state) for order_id, customer, amount, state in rows}

    async def _orders(self) -> Mapping[int, Order]:
        return {order_id: Order(*rest) for order_id, *rest in await self.orders.fetch(ORDERS)}

    async def _view(self) -> tuple[Mapping[int, tuple[str, int]], Mapping[int, Order]]:
        live = (await self.views.look()).live
        if live is None:
            return {}, {}
        view = self.views.generation(live)
        customers = {d["_id"]: (d["name"], d["creditLimit"]) async for d in view.every_customer()}
        orders = {
            d["_id"]: Order(d["customerId"], d["total"], d["state"], d["reason"], d["version"])
            async for d in view.every_order()
        }
        return customers, orders

    async def _stream(self) -> list[StreamMessage]:
        return [message async for message in stream_messages(self.nats)]

    async def _kafka(self, topics: list[Topic]) -> Mapping[KafkaPosition, str]:
        return {
            KafkaPosition(record.topic, record.partition, record.offset): _event_id(record)
            async for record in kafka_records(self.kafka, topics)
        }


@asynccontextmanager
async def open_sources(settings: Settings) -> AsyncIterator[Sources]:
    """Connects to everything, and closes it again."""
    views = Views(settings.mongodb_url.get_secret_value())
    client = await connect(settings.nats_url, settings.nats_token.get_secret_value(), "operations")
    try:
        async with (
            asyncpg.create_pool(settings.customer_database_url.get_secret_value(), min_size=1, max_size=2) as customers,
            asyncpg.create_pool(settings.order_database_url.get_secret_value(), min_size=1, max_size=2) as orders,
            KafkaRecords(settings.kafka_login()) as kafka,
        ):
            yield Sources(customers, orders, kafka, client, views)
    finally:
        await client.close()
        views.close()


async def stream_messages(client: Client, first: int = 1) -> AsyncIterator[StreamMessage]:
    """The stream's messages from a sequence up to its present end, without their payloads."""
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
            if KAFKA_TOPIC in headers:  # not a dead letter that was sent again
                yield _stream_message(headers, metadata.sequence.stream, metadata.timestamp)
            if metadata.sequence.stream >= state["last_seq"]:
                return
    finally:
        await subscription.unsubscribe()


async def kafka_records(kafka: KafkaRecords, topics: list[Topic]) -> AsyncIterator[Record]:
    """The topics' records up to their present ends."""
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
