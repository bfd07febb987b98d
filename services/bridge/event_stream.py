"""The stream EVENTS as the bridge uses it: the position of each Kafka partition in it, and appending to it."""

import logging
from collections.abc import Iterable, Mapping, Sequence

from contracts.headers import KAFKA_OFFSET, KAFKA_TOPIC_ID
from services.bridge.jetstream import EventsWriter, Fenced, RepeatInBatch
from services.bridge.kafka import Partition, Topic
from services.bridge.translate import Message, partition_subjects

log = logging.getLogger(__name__)

MAX_BATCH = 1000
"""The server's limit for one atomic batch."""

MAX_PIPELINED = 12
"""Up to this many messages are published one by one, pipelined. For an atomic batch the server creates a file, which
takes longer than a few single messages."""


class EventStream:
    """The stream EVENTS, written by one bridge at a time.

    Each publish names the sequence that the stream must end with (a fence). So no publish can succeed after a failed
    one, and a second bridge is refused.
    """

    def __init__(self, writer: EventsWriter) -> None:
        self._writer = writer
        self._last_sequence = 0
        self._partition_ends: dict[str, int] = {}
        """The last sequence of each partition, by the partition's subjects."""

    async def open(self) -> None:
        """Reads where the stream ends. Call it before `next_offsets`.

        If another bridge stores a message after this, the first publish is refused. So positions that are read after
        `open` cannot be wrong without an error.
        """
        self._last_sequence = await self._writer.open()

    async def check(self) -> None:
        """Checks that the stream ends where this bridge left it.

        An append would notice a lost tail as well. Without traffic there is no append, so an idle bridge calls this.

        Raises:
            Fenced: the stream does not end where this bridge left it.
        """
        last_sequence = await self._writer.last_sequence()
        if last_sequence != self._last_sequence:
            raise Fenced(f"the stream ends with message {last_sequence}, not {self._last_sequence}")

    async def next_offsets(self, topics: Iterable[Topic]) -> dict[Partition, int]:
        """The next Kafka offset to read, for each partition that has messages in the stream.

        If the last message came from a topic with another id, the topic was recreated and its offsets start again at 0.
        Such a partition is left out: it is read from its beginning.

        Raises:
            Fenced: another bridge has stored something since the stream was opened.
        """
        offsets: dict[Partition, int] = {}
        for topic in topics:
            for partition in range(topic.partitions):
                headers = await self._last_headers(topic.name, partition)
                if headers.get(KAFKA_TOPIC_ID) == topic.id:
                    offsets[topic.name, partition] = int(headers[KAFKA_OFFSET]) + 1
                elif headers:
                    log.warning("%s/%d was recreated: it is read from its beginning", topic.name, partition)
        return offsets

    async def _last_headers(self, topic: str, partition: int) -> Mapping[str, str]:
        subjects = partition_subjects(topic, partition)
        sequence, headers = await self._writer.last_message(subjects) or (0, {})
        if sequence > self._last_sequence:
            # If that message vanished again, the fence would match, and this bridge would skip records.
            raise Fenced(f"another bridge stored message {sequence}, after {self._last_sequence}")
        self._partition_ends[subjects] = sequence
        return headers

    async def append(self, messages: Sequence[Message]) -> None:
        """Stores the messages in order.

        An event whose id is in the server's deduplication window is left out: it is in the stream already.

        Raises:
            Fenced: open the stream again and resume from its position. What is stored is in order.
            nats.errors.Error: it is not known what is stored. Do the same.
        """
        for start in range(0, len(messages), MAX_BATCH):
            batch = messages[start : start + MAX_BATCH]
            if len(batch) <= MAX_PIPELINED or not await self._append_atomically(batch):
                await self._append_pipelined(batch)

    async def _append_atomically(self, batch: Sequence[Message]) -> bool:
        try:
            last_sequence = await self._writer.publish_batch(batch, self._last_sequence)
        except RepeatInBatch:
            # Debezium repeats rows after a crash of Connect. Published one by one, only the repeats are refused.
            log.info("a batch of %d has a repeated event: its messages are published one by one", len(batch))
            return False
        self._stored(batch, last_sequence)
        return True

    async def _append_pipelined(self, messages: Sequence[Message]) -> None:
        while messages:
            group = sorted(messages[:MAX_PIPELINED], key=lambda message: message.partition_subjects)
            if not all(message.event_id for message in group):
                group = [messages[0]]  # the fence of the next message would need this one's id
            done, last_sequence = await self._writer.publish_pipelined(group, self._last_sequence, self._partition_ends)
            self._stored(group[: last_sequence - self._last_sequence], last_sequence)
            messages = [*group[done:], *messages[len(group) :]]

    def _stored(self, messages: Sequence[Message], last_sequence: int) -> None:
        for sequence, message in enumerate(messages, self._last_sequence + 1):
            self._partition_ends[message.partition_subjects] = sequence
        self._last_sequence = last_sequence
