"""The bridge's side of the stream: where each partition stands, and what is appended after that."""

import logging
from collections.abc import Iterable, Mapping, Sequence

from contracts.headers import KAFKA_OFFSET, KAFKA_TOPIC_ID
from services.bridge.jetstream import EventsWriter, Fenced, RepeatInBatch
from services.bridge.kafka import Partition, Topic
from services.bridge.translate import Message, partition_subjects

log = logging.getLogger(__name__)

MAX_BATCH = 1000
"""What the server takes in one atomic batch."""

MAX_CHAIN = 12
"""Up to so many are published one by one: for a batch the server makes a file of its own, which takes longer."""


class EventStream:
    """The stream EVENTS, written by one bridge at a time.

    Every publish names the sequence that the stream must end with. So a failed publish cannot be
    skipped past by the next one, and a second bridge is refused instead of interleaved.
    """

    def __init__(self, writer: EventsWriter) -> None:
        self._writer = writer
        self._last_sequence = 0
        self._partition_ends: dict[str, int] = {}
        """The last sequence of each partition, by its subjects."""

    async def open(self) -> None:
        """Takes note of where the stream ends; to be done before the positions are read.

        Whatever another bridge stores after this makes the first publish fail, so positions that
        are read later are neither too low nor too high unnoticed.
        """
        self._last_sequence = await self._writer.open()

    async def check(self) -> None:
        """Looks whether the stream still ends where this bridge believes.

        An append would find out; without one, a lost tail would stay lost.

        Raises:
            Fenced: the stream does not end where this bridge left it.
        """
        last_sequence = await self._writer.last_sequence()
        if last_sequence != self._last_sequence:
            raise Fenced(f"the stream ends with message {last_sequence}, not {self._last_sequence}")

    async def next_offsets(self, topics: Iterable[Topic]) -> dict[Partition, int]:
        """For each partition that has messages in the stream, the Kafka offset after the last one's.

        A message from a topic with another id tells nothing about this one, whose offsets start
        again at 0: the partition is left out, to be read from its beginning.

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
                    log.warning("%s/%d was made anew: read from its beginning", topic.name, partition)
        return offsets

    async def _last_headers(self, topic: str, partition: int) -> Mapping[str, str]:
        subjects = partition_subjects(topic, partition)
        sequence, headers = await self._writer.last_message(subjects) or (0, {})
        if sequence > self._last_sequence:
            # Were that message lost again, the stream would end where it was opened, and the fence
            # would let this bridge go on from a position that the stream has not got.
            raise Fenced(f"another bridge stored message {sequence}, after {self._last_sequence}")
        self._partition_ends[subjects] = sequence
        return headers

    async def append(self, messages: Sequence[Message]) -> None:
        """Stores the messages in order, a batch whole or not at all.

        An event that the server still remembers is left out: it is in the stream already.

        Raises:
            Fenced: open the stream again and resume from its position; what was stored by then is in order.
            nats.errors.Error: not known to be stored; the same.
        """
        for start in range(0, len(messages), MAX_BATCH):
            batch = messages[start : start + MAX_BATCH]
            if len(batch) <= MAX_CHAIN or not await self._append_whole(batch):
                await self._append_in_chains(batch)

    async def _append_whole(self, batch: Sequence[Message]) -> bool:
        try:
            last_sequence = await self._writer.publish_batch(batch, self._last_sequence)
        except RepeatInBatch:
            # Debezium repeats rows after a crash of Connect. One at a time, the server says which.
            log.info("a batch of %d holds a repeated event: its messages are published one by one", len(batch))
            return False
        self._stored(batch, last_sequence)
        return True

    async def _append_in_chains(self, messages: Sequence[Message]) -> None:
        while messages:
            chain = sorted(messages[:MAX_CHAIN], key=lambda message: message.partition_subjects)
            if not all(message.event_id for message in chain):
                chain = [messages[0]]  # one without an id cannot be named by the next one
            done, last_sequence = await self._writer.publish_chain(chain, self._last_sequence, self._partition_ends)
            self._stored(chain[: last_sequence - self._last_sequence], last_sequence)
            messages = [*chain[done:], *messages[len(chain) :]]

    def _stored(self, messages: Sequence[Message], last_sequence: int) -> None:
        for sequence, message in enumerate(messages, self._last_sequence + 1):
            self._partition_ends[message.partition_subjects] = sequence
        self._last_sequence = last_sequence
