"""Publishing to the stream EVENTS with a fence: as an atomic batch, or pipelined message by message."""

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
    """The stream does not end where this bridge left it: another bridge writes to it, or it was replaced."""


class RepeatInBatch(Exception):
    """One of the batch's event ids is in the server's deduplication window. Nothing of the batch was stored."""


class EventsWriter:
    """Writes to the stream EVENTS.

    All publishing raises Fenced if the stream does not end with the expected sequence, or if the connection was
    replaced since `open`; nothing is stored then. It raises nats.errors.Error if it is not known what is stored.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._connection = client.stats["reconnects"]

    async def open(self) -> int:
        """Creates or reconciles the streams and returns the last sequence of EVENTS.

        If the stream has lost its tail, consumers may point past its end. Those are deleted.

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
            # If the end has moved, another bridge stored messages between the two requests: ask again.
            if not overtaken or await self.last_sequence() == last_sequence:
                break
        for name in overtaken:
            # Before the first append: messages that refill the stream up to the consumer's position would never be
            # delivered to it.
            log.warning("the stream lost messages that %s had received: it starts from the beginning", name)
            await delete_consumer(self._client, EVENTS, name)
        return last_sequence

    async def last_sequence(self) -> int:
        """The last sequence of EVENTS."""
        return int((await ensure_stream(self._client, EVENTS))["last_seq"])

    async def last_message(self, subjects: str) -> tuple[int, Mapping[str, str]] | None:
        """Sequence and headers of the last message on the subjects (a wildcard); None if there is none."""
        try:
            message = await self._client.jetstream().get_last_msg(EVENTS, subjects)
        except NotFoundError:
            return None
        return int(message.seq or 0), message.headers or {}

    async def publish_pipelined(
        self, messages: Sequence[Message], expected: int, partition_ends: Mapping[str, int]
    ) -> tuple[int, int]:
        """Publishes messages one by one without waiting for each ack.

        A repeat is left out. The messages after it are refused, because their expected sequences do not match any more.
        The caller publishes those again.

        Args:
            messages: the messages of a partition must be neighbours. Only the last message may have no event id.
            expected: the sequence that the stream must end with.
            partition_ends: the last sequence of each partition, by the partition's subjects; 0 for others.

        Returns:
            How many messages are stored or left out, and the stream's last sequence.

        Raises:
            Fenced: as above, but the first messages may be stored if another bridge wrote at the same time.
        """
        self._require_same_connection()
        requests = itertools.starmap(self._request, _fenced(messages, expected, partition_ends))
        for number, ack in enumerate(await asyncio.gather(*requests, return_exceptions=True)):
            if isinstance(ack, BaseException):
                raise ack
            if ack.get("duplicate"):
                return number + 1, expected + number
        return len(messages), expected + len(messages)

    async def publish_batch(self, messages: Sequence[Message], expected: int) -> int:
        """Stores two or more messages, all or none, and returns the stream's last sequence.

        Raises:
            RepeatInBatch: one of the event ids is in the server's deduplication window.
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
        # After a reconnect the stream may be truncated: consumers that point past its end must be deleted before the
        # first append. The fence alone does not notice it if this bridge has stored nothing in the lost tail.
        if not self._client.is_connected or self._client.stats["reconnects"] != self._connection:
            raise Fenced("the connection was replaced: the stream must be opened again")

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


def _fenced(
    messages: Sequence[Message], expected: int, partition_ends: Mapping[str, int]
) -> Iterator[tuple[Message, dict[str, str]]]:
    """Each message with the headers of its fence.

    The expected last sequence alone is not enough: if a message is refused, another bridge may store a message of its
    own at the same sequence. So each message also names the event id of the message before it, if both are of one
    partition: as long as that id is the last in the stream, no later record of the partition is stored. The first
    message of each further partition names the last sequence of that partition.
    """
    before: Message | None = None
    for number, message in enumerate(messages):
        headers = message.headers | {EXPECTED_LAST_SEQUENCE: str(expected + number)}
        subjects = message.partition_subjects
        if before and before.partition_subjects == subjects:
            headers[EXPECTED_LAST_MESSAGE_ID] = before.headers[MESSAGE_ID]
        elif before:
            headers |= {EXPECTED_LAST_OF_SUBJECTS: str(partition_ends.get(subjects, 0)), SUBJECTS: subjects}
        yield message, headers
        before = message
