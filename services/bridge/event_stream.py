"""The JetStream side of the bridge: where each partition stands, and batches that are stored whole or not at all."""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from nats.aio.client import Client
from nats.js.errors import APIError, NotFoundError

from messaging.envelope import KAFKA_OFFSET, KAFKA_TOPIC_ID
from messaging.streams import DEAD_LETTERS, EVENTS, ensure_stream
from services.bridge.kafka import Partition, Topic
from services.bridge.translate import Message, partition_subjects

log = logging.getLogger(__name__)

BATCH_ID = "Nats-Batch-Id"
BATCH_SEQUENCE = "Nats-Batch-Sequence"
BATCH_COMMIT = "Nats-Batch-Commit"
EXPECTED_LAST_SEQUENCE = "Nats-Expected-Last-Sequence"

DUPLICATE_IN_BATCH = 10201
WRONG_LAST_SEQUENCE = 10071

MAX_BATCH = 1000
"""What the server takes in one atomic batch."""

PUBLISH_SECONDS = 10.0


class Fenced(Exception):
    """The stream does not end where this bridge left it: another bridge writes, or it was replaced."""


@dataclass(slots=True)
class EventStream:
    """The stream EVENTS, written by one bridge at a time.

    Every publish names the sequence that the stream must end with. So a failed publish cannot be
    skipped past by the next one, and a second bridge is refused instead of interleaved.
    """

    client: Client
    last_sequence: int = 0

    async def open(self) -> None:
        """Creates or reconciles the streams, and takes note of where EVENTS ends."""
        await ensure_stream(self.client, DEAD_LETTERS)
        state = await ensure_stream(self.client, EVENTS)
        self.last_sequence = state["last_seq"]

    async def next_offsets(self, topics: Iterable[Topic]) -> dict[Partition, int]:
        """For each partition that has messages in the stream, the Kafka offset after the last one's.

        A message from a topic with another id tells nothing about this one, whose offsets start
        again at 0: the partition is left out, to be read from its beginning.
        """
        offsets: dict[Partition, int] = {}
        for topic in topics:
            for partition in range(topic.partitions):
                headers = await self._last_headers(partition_subjects(topic.name, partition))
                if headers.get(KAFKA_TOPIC_ID) == topic.id:
                    offsets[topic.name, partition] = int(headers[KAFKA_OFFSET]) + 1
                elif headers:
                    log.warning("%s/%d was made anew: read from its beginning", topic.name, partition)
        return offsets

    async def append(self, messages: Sequence[Message]) -> None:
        """Stores the messages in order, a batch whole or not at all.

        An event that the server still remembers is left out: it is in the stream already.

        Raises:
            Fenced: nothing was stored; open the stream again and resume from its position.
            nats.errors.Error: not known to be stored; the same.
        """
        for start in range(0, len(messages), MAX_BATCH):
            await self._append_batch(messages[start : start + MAX_BATCH])

    async def _append_batch(self, messages: Sequence[Message]) -> None:
        if len(messages) > 1:
            try:
                return await self._publish_atomically(messages)
            except APIError as error:
                if error.err_code != DUPLICATE_IN_BATCH:
                    raise
            # Debezium repeats rows after a crash of Connect. One at a time, the server says which.
            log.info("a batch of %d holds a repeated event: its messages are published one by one", len(messages))
        for message in messages:
            await self._publish(message)
        return None

    async def _publish_atomically(self, messages: Sequence[Message]) -> None:
        batch_id = uuid4().hex
        *others, last = [
            (message, message.headers | {BATCH_ID: batch_id, BATCH_SEQUENCE: str(number)})
            for number, message in enumerate(messages, 1)
        ]
        others[0][1][EXPECTED_LAST_SEQUENCE] = str(self.last_sequence)
        for message, headers in others:
            await self.client.publish(message.subject, message.payload, headers=headers)
        message, headers = last
        ack = await self._request(message, headers | {BATCH_COMMIT: "1"})
        self.last_sequence = ack["seq"]

    async def _publish(self, message: Message) -> None:
        ack = await self._request(message, message.headers | {EXPECTED_LAST_SEQUENCE: str(self.last_sequence)})
        if ack.get("duplicate"):
            log.info("left out a repeat of event %s", message.event_id)
        else:
            self.last_sequence = ack["seq"]

    async def _request(self, message: Message, headers: dict[str, str]) -> dict[str, Any]:
        reply = await self.client.request(message.subject, message.payload, timeout=PUBLISH_SECONDS, headers=headers)
        answer: dict[str, Any] = json.loads(reply.data)
        if "error" not in answer:
            return answer
        if answer["error"].get("err_code") == WRONG_LAST_SEQUENCE:
            raise Fenced(f"the stream does not end at {self.last_sequence}: {answer['error']['description']}")
        APIError.from_error(answer["error"])
        raise AssertionError("from_error always raises")

    async def _last_headers(self, subjects: str) -> dict[str, str]:
        try:
            message = await self.client.jetstream().get_last_msg(EVENTS, subjects)
        except NotFoundError:
            return {}
        return dict(message.headers or {})
