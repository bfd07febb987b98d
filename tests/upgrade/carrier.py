"""Carries events from the outboxes to the stream, in the place of Debezium, Kafka and the bridge."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import asyncpg
from nats.aio.client import Client

from contracts.headers import ID, KAFKA_OFFSET, KAFKA_PARTITION, KAFKA_TOPIC, KAFKA_TOPIC_ID, MESSAGE_ID, TYPE
from messaging.streams import EVENTS
from services.bridge.kafka import Topic

UNSENT = """
SELECT id::text, aggregatetype, type, payload::text FROM outbox
WHERE created_at > now() - interval '1 minute' AND id::text <> ALL($1::text[]) ORDER BY id LIMIT 500
"""

PAUSE_SECONDS = 0.02


class Carrier:
    """Looks for new rows until it is stopped; each row becomes one message, with the headers that the bridge writes."""

    def __init__(self, outboxes: Sequence[asyncpg.Pool], client: Client) -> None:
        self._outboxes = outboxes
        self._client = client
        self._sent: dict[str, None] = {}
        self._offsets: dict[str, int] = {}
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        while not self._stopping.is_set():
            for outbox in self._outboxes:
                # Rows become visible in another order than that of their ids: each look asks for all that are not sent.
                for row in await outbox.fetch(UNSENT, list(self._sent)):
                    await self._send(*row)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), PAUSE_SECONDS)

    def stop(self) -> None:
        self._stopping.set()

    async def _send(self, event_id: str, aggregate: str, event_type: str, payload: str) -> None:
        topic = f"events.{aggregate}"
        self._offsets[topic] = offset = self._offsets.get(topic, -1) + 1
        position = {KAFKA_TOPIC: topic, KAFKA_TOPIC_ID: "t", KAFKA_PARTITION: "0", KAFKA_OFFSET: str(offset)}
        headers = {ID: event_id, TYPE: event_type, MESSAGE_ID: event_id, **position}
        subject = f"events.{aggregate}.0.{event_type}"
        await self._client.jetstream().publish(subject, payload.encode(), headers=headers, stream=EVENTS)
        self._sent[event_id] = None


class NoKafka:
    """For the audit: there are no topics to compare the stream with."""

    async def describe(self, names: Sequence[str]) -> list[Topic]:  # noqa: ARG002
        return []

    async def ends(self, topics: Sequence[Topic]) -> dict[tuple[str, int], tuple[int, int]]:  # noqa: ARG002
        return {}

    async def start(self, topics: Sequence[Topic], positions: object) -> None:
        """Nothing to read."""
