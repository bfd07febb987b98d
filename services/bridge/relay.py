"""The bridge's loop: forwards Kafka records into the stream, in order. The stream itself holds its position."""

import asyncio
import logging
from collections.abc import Sequence

from confluent_kafka import KafkaException

from messaging.connection import Stream
from messaging.streams import UNREACHABLE_ERRORS
from runtime.linger import Linger
from services.bridge.event_stream import EventStream
from services.bridge.jetstream import EventsWriter, Fenced
from services.bridge.kafka import Topic, TopicsChanged
from services.bridge.ports import Records
from services.bridge.translate import translate

log = logging.getLogger(__name__)

BATCH = 500
CHECK_SECONDS = 5.0
"""Between two checks for a wiped Kafka and for a truncated stream."""

RESUME_SECONDS = 0.5

LINGER = Linger(per_item=0.003, multiple=6, longest=0.016, full_batch=100)

FAULTS: tuple[type[Exception], ...] = (*UNREACHABLE_ERRORS, KafkaException, Fenced, TopicsChanged)
"""After any of these the position is read from the stream again."""


class Relay:
    """Forwards the topics' records into the stream. Implements runtime.workers.Worker.

    It keeps no state of its own: the position is in the stream. So a crash at any moment leaves neither a gap nor a
    duplicate.

    Attributes:
        topic_names: the topics that it forwards.
    """

    def __init__(self, stream: Stream, records: Records, topic_names: Sequence[str]) -> None:
        self._connection = stream
        self._records = records
        self.topic_names = list(topic_names)
        self._running: asyncio.Task[None] | None = None
        self._stopping = False
        self.fault: str | None = "waiting for NATS"

    async def run(self) -> None:
        """Forwards until `stop`. After each fault it resumes from the stream's position."""
        self._running = asyncio.current_task()
        writer = EventsWriter(await self._connection.client())
        self._running = None
        self.fault = "not started"
        while not self._stopping:
            try:
                await self._forward(EventStream(writer))
            except FAULTS as error:
                self.fault = f"{type(error).__name__}: {error}"
                log.warning("resuming from the stream's position after %s", self.fault)
                await asyncio.sleep(RESUME_SECONDS)

    def stop(self) -> None:
        """Lets `run` finish the batch in hand and return. A wait for NATS is cancelled."""
        self._stopping = True
        if self._running:
            self._running.cancel()

    async def _forward(self, stream: EventStream) -> None:
        topics = await self._start(stream)
        self.fault = None
        now = asyncio.get_running_loop().time
        checked = now()
        while not self._stopping:
            records = await self._records.take(BATCH)
            if records:
                began = now()
                await stream.append([translate(record) for record in records])
                await asyncio.sleep(LINGER.pause(len(records), now() - began))
            if now() - checked > CHECK_SECONDS:
                await self._check(stream, topics)
                checked = now()

    async def _start(self, stream: EventStream) -> list[Topic]:
        await stream.open()
        topics = await self._records.describe(self.topic_names)
        offsets = await stream.next_offsets(topics)
        await self._records.start(topics, offsets)
        log.info("forwarding %s from %s", ", ".join(self.topic_names), offsets or "the beginning")
        return topics

    async def _check(self, stream: EventStream, topics: list[Topic]) -> None:
        await stream.check()
        # take() notices a recreated topic only when its offsets decrease.
        if await self._records.describe(self.topic_names) != topics:
            raise TopicsChanged("the topics are not the ones that reading began with")
