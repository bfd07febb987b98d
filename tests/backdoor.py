"""The backdoor behind the APIs: rows in a service's own database, records in Kafka, and the dead letters at its end."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg
from confluent_kafka import KafkaError, Message, Producer
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from infra.native import Stack
from infra.provision.settings import Settings
from messaging.connection import connect
from messaging.progress import read_progress
from messaging.streams import EVENTS, consumer_infos, request
from operations.dead_letters import DeadLetter, dead_letters

T = TypeVar("T")

KAFKA_SECONDS = 15.0
LARGEST_RECORD = 16 * 2**20

APPEND = "INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ($1, $2, $3, $4)"


@dataclass(frozen=True)
class Backdoor:
    """Ways in and out of a running stack that its users have not got."""

    stack: Stack

    def execute(self, service: str, statement: str, *arguments: Any) -> None:
        """Runs SQL in a service's database."""
        self._sql(service, lambda connection: connection.execute(statement, *arguments))

    def fetchval(self, service: str, query: str, *arguments: Any) -> Any:
        return self._sql(service, lambda connection: connection.fetchval(query, *arguments))

    def fetch(self, service: str, query: str, *arguments: Any) -> list[asyncpg.Record]:
        return self._sql(service, lambda connection: connection.fetch(query, *arguments))

    def append(self, aggregate: str, event_type: str, payload: str, aggregate_id: int = 1) -> None:
        """Commits a row in the outbox of the aggregate's service."""
        self.execute(aggregate, APPEND, aggregate, str(aggregate_id), event_type, payload)

    def produce(self, topic: str, value: bytes, headers: dict[str, str]) -> str:
        """Writes a record, compressed, and returns its position: topic/partition@offset."""
        delivered: list[Message] = []

        def note(error: KafkaError | None, message: Message) -> None:
            assert error is None, error
            delivered.append(message)

        producer = Producer(self._kafka())
        producer.produce(topic, value, partition=0, headers=list(headers.items()), on_delivery=note)
        assert producer.flush(KAFKA_SECONDS) == 0
        return f"{topic}/0@{delivered[0].offset()}"

    def dead_letters(self) -> list[DeadLetter]:
        """All of them, the oldest first."""

        async def read(client: Client) -> list[DeadLetter]:
            return [letter async for letter in dead_letters(client)]

        return self._nats(read)

    def event(self, sequence: int) -> tuple[str, bytes]:
        """Subject and payload of a message of the stream EVENTS."""

        async def read(client: Client) -> tuple[str, bytes]:
            message = await client.jetstream().get_msg(EVENTS, sequence)
            return str(message.subject), message.data or b""

        return self._nats(read)

    def last_event(self, subject: str) -> int:
        """The sequence of the last message of the stream EVENTS on a subject, which may have wildcards.

        Raises:
            AssertionError: there is none yet.
        """

        async def read(client: Client) -> int:
            try:
                return int((await client.jetstream().get_last_msg(EVENTS, subject)).seq or 0)
            except NotFoundError as error:
                raise AssertionError(f"no message on {subject}") from error

        return self._nats(read)

    def backlog(self) -> dict[str, int]:
        """By consumer, how many messages of the stream EVENTS it has not acknowledged yet."""
        infos = self._nats(lambda client: consumer_infos(client, EVENTS))
        return {info["name"]: read_progress(info).left for info in infos}

    def purge(self, stream: str) -> None:
        """Deletes all messages of a stream."""
        self._nats(lambda client: request(client, f"STREAM.PURGE.{stream}"))

    def redelivered(self, consumer: str) -> int:
        """How many messages the durable consumer has been given more than once and has not settled."""
        info = self._nats(lambda client: request(client, f"CONSUMER.INFO.{EVENTS}.{consumer}"))
        return int(info["num_redelivered"])

    def _kafka(self) -> dict[str, str | int | float | bool]:
        return {
            **self._settings.kafka_login(),
            "compression.type": "gzip",
            "message.max.bytes": LARGEST_RECORD,
        }

    @property
    def _settings(self) -> Settings:
        return Settings.read(self.stack.environment("keeper"))

    def _sql(self, service: str, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        async def run() -> T:
            connection = await asyncpg.connect(self._settings.database_url(service))
            try:
                return await work(connection)
            finally:
                await connection.close()

        return asyncio.run(run())

    def _nats(self, work: Callable[[Client], Awaitable[T]]) -> T:
        async def run() -> T:
            client = await connect(self._settings.nats_url, self._settings.nats_token.get_secret_value(), "test")
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(run())
