"""Publishing to the stream EVENTS: fenced, as an atomic batch or as a chain of messages, and asking where it ends."""

import asyncio
import itertools
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any
from uuid import uuid4

from nats.aio.client import Client
from nats.js.errors import APIError, NotFoundError

from contracts.headers import MESSAGE_ID
from messaging.errors import ConnectionGone
from messaging.streams import DEAD_LETTERS, EVENTS, consumers_beyond, delete_consumer, ensure_stream
from services.bridge.translate import Message

log = logging.getLogger(__name__)

BATCH_ID = "Nats-Batch-Id"
BATCH_SEQUENCE = "Nats-Batch-Sequence"
BATCH_COMMIT = "Nats-Batch-Commit"
EXPECTED_LAST_SEQUENCE = "Nats-Expected-Last-Sequence"
EXPECTED_LAST_MESSAGE_ID = "Nats-Expected-Last-Msg-Id"
EXPECTED_LAST_OF_SUBJECTS = "Nats-Expected-Last-Subject-Sequence"
SUBJECTS = "Nats-Expected-Last-Subject-Sequence-Subject"

PUBLISH_SECONDS = 10.0


class _ErrorCode(IntEnum):
    WRONG_LAST_MESSAGE_ID = 10070
    WRONG_LAST_SEQUENCE = 10071
    DUPLICATE_IN_BATCH = 10201


class Fenced(Exception):
    """The stream does not end where this bridge left it: another bridge writes, or it was replaced."""


class RepeatInBatch(Exception):
    """The server remembers one of the batch's event ids; nothing of the batch was stored."""


class EventsWriter:
    """The stream EVENTS as the bridge needs it.

    All publishing raises Fenced, with nothing stored, when the stream does not end with the expected
    sequence or the connection is not the one that `open` looked through, and nats.errors.Error when it
    is not known whether something was stored.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._connection = client.stats["reconnects"]

    async def open(self) -> int:
        """Creates or reconciles the streams and returns the last sequence of EVENTS.

        Consumers whose position lies beyond that are deleted, for the stream has lost its tail.

        Raises:
            ConnectionGone: the connection is closed for good.
        """
        if self._client.is_closed:
            raise ConnectionGone("the connection to NATS is closed")
        self._connection = self._client.stats["reconnects"]
        await ensure_stream(self._client, DEAD_LETTERS)
        while True:
            last_sequence = await self.last_sequence()
            overtaken = await consumers_beyond(self._client, EVENTS, last_sequence)
            # More messages by now: another bridge stored them between the two questions.
            if not overtaken or await self.last_sequence() == last_sequence:
                break
        for name in overtaken:
            # Before the first append: a refilled stream would soon reach the consumer's position,
            # and what comes to stand below it would never be delivered.
            log.warning("the stream lost messages that %s was handed: it starts from the beginning", name)
            await delete_consumer(self._client, EVENTS, name)
        return last_sequence

    async def last_sequence(self) -> int:
        """Where EVENTS ends now."""
        return int((await ensure_stream(self._client, EVENTS))["last_seq"])

    async def last_message(self, subjects: str) -> tuple[int, Mapping[str, str]] | None:
        """Sequence and headers of the last message on the subjects (a wildcard); None if there is none."""
        try:
            message = await self._client.jetstream().get_last_msg(EVENTS, subjects)
        except NotFoundError:
            return None
        return int(message.seq or 0), message.headers or {}

    async def publish_chain(
        self, messages: Sequence[Message], expected: int, partition_ends: Mapping[str, int]
    ) -> tuple[int, int]:
        """Stores messages one by one, sent at once; returns how many are dealt with, and the stream's last sequence.

        A repeat is left out. What follows it is refused, as its sequence does not fit any more, and is to be published
        again.

        Args:
            messages: those of a partition stand together. None but the last may be without an event id.
            partition_ends: the last sequence of each partition by its subjects; 0 where left out.

        Raises:
            Fenced: as above; but some may be stored if another bridge interfered.
        """
        self._require_same_connection()
        requests = itertools.starmap(self._request, _chained(messages, expected, partition_ends))
        for place, ack in enumerate(await asyncio.gather(*requests, return_exceptions=True)):
            if isinstance(ack, BaseException):
                raise ack
            if ack.get("duplicate"):
                return place + 1, expected + place
        return len(messages), expected + len(messages)

    async def publish_batch(self, messages: Sequence[Message], expected: int) -> int:
        """Stores two or more messages, all or none, and returns the stream's last sequence.

        Raises:
            RepeatInBatch: the server remembers one of the event ids.
        """
        self._require_same_connection()
        batch_id = uuid4().hex
        numbered = [
            (message, message.headers | {BATCH_ID: batch_id, BATCH_SEQUENCE: str(number)})
            for number, message in enumerate(messages, 1)
        ]
        numbered[0][1][EXPECTED_LAST_SEQUENCE] = str(expected)
        for message, headers in numbered[:-1]:
            await self._client.publish(message.subject, message.payload, headers=headers)
        message, headers = numbered[-1]
        return int((await self._request(message, headers | {BATCH_COMMIT: "1"}))["seq"])

    def _require_same_connection(self) -> None:
        # Behind a new connection is a server that may have lost its tail. For a bridge that has been idle since
        # before that tail, the end still fits, but the consumers beyond it have to go before the first append.
        if not self._client.is_connected or self._client.stats["reconnects"] != self._connection:
            raise Fenced("the connection was replaced: the stream has to be looked at again")

    async def _request(self, message: Message, headers: dict[str, str]) -> dict[str, Any]:
        reply = await self._client.request(message.subject, message.payload, timeout=PUBLISH_SECONDS, headers=headers)
        answer: dict[str, Any] = json.loads(reply.data)
        error = answer.get("error")
        if not error:
            return answer
        match error.get("err_code"):
            case _ErrorCode.WRONG_LAST_SEQUENCE | _ErrorCode.WRONG_LAST_MESSAGE_ID:
                raise Fenced(error["description"])
            case _ErrorCode.DUPLICATE_IN_BATCH:
                raise RepeatInBatch(error["description"])
        raise APIError(**error)


def _chained(
    messages: Sequence[Message], expected: int, partition_ends: Mapping[str, int]
) -> Iterator[tuple[Message, dict[str, str]]]:
    """Each message with headers by which it is stored only if the stream ends with what the bridge takes it for.

    The sequence alone does not tell: another bridge may have put a message in the place of one that was refused here.
    So a message names the one before it where both are of one partition: while that is the last in the stream, none
    that follows it in Kafka is stored yet. The first of a further partition names the sequence where that one ends.
    """
    before: Message | None = None
    for place, message in enumerate(messages):
        headers = message.headers | {EXPECTED_LAST_SEQUENCE: str(expected + place)}
        subjects = message.partition_subjects
        if before and before.partition_subjects == subjects:
            headers[EXPECTED_LAST_MESSAGE_ID] = before.headers[MESSAGE_ID]
        elif before:
            headers |= {EXPECTED_LAST_OF_SUBJECTS: str(partition_ends.get(subjects, 0)), SUBJECTS: subjects}
        yield message, headers
        before = message
