"""The bridge's loop: from the stream's own position, Kafka records into the stream, in order, for ever."""

import asyncio
import logging

from confluent_kafka import KafkaException

from messaging.pace import Pace
from messaging.streams import UNREACHABLE_ERRORS
from services.bridge.event_stream import EventStream
from services.bridge.jetstream import EventsWriter, Fenced
from services.bridge.kafka import KafkaRecords, Topic, TopicsChanged
from services.bridge.translate import translate

log = logging.getLogger(__name__)

BATCH = 500
LOOK_AROUND_SECONDS = 5.0
"""How long a wiped Kafka, or a stream that lost messages, may go unnoticed."""

RESUME_SECONDS = 0.5

PACE = Pace(for_each=0.003, times=6, longest=0.016, enough=100)

FAULTS: tuple[type[Exception], ...] = (*UNREACHABLE_ERRORS, KafkaException, Fenced, TopicsChanged)
"""After any of these the position is read from the stream again."""


class Relay:
    """Forwards the topics' records into the stream.

    Nothing is kept between two rounds but what the stream itself holds, so a crash at any moment
    leaves neither a gap nor a duplicate.
    """

    def __init__(self, writer: EventsWriter, records: KafkaRecords, topic_names: list[str]) -> None:
        self._stream = EventStream(writer)
        self._records = records
        self._topic_names = topic_names
        self._stopping = False
        self.fault: str | None = "not started"
        """Why nothing is being forwarded; None while all is well."""

    async def run(self) -> None:
        """Forwards until `stop`, resuming from the stream's position after every fault."""
        while not self._stopping:
            try:
                await self._forward()
            except FAULTS as error:
                self.fault = f"{type(error).__name__}: {error}"
                log.warning("resuming from the stream's position after %s", self.fault)
                await asyncio.sleep(RESUME_SECONDS)

    def stop(self) -> None:
        """Lets `run` finish the batch in hand and return."""
        self._stopping = True

    async def _forward(self) -> None:
        topics = await self._start()
        self.fault = None
        now = asyncio.get_running_loop().time
        looked = now()
        while not self._stopping:
            records = await self._records.take(BATCH)
            if records:
                began = now()
                await self._stream.append([translate(record) for record in records])
                await asyncio.sleep(PACE.rest(len(records), now() - began))
            if now() - looked > LOOK_AROUND_SECONDS:
                await self._look_around(topics)
                looked = now()

    async def _start(self) -> list[Topic]:
        await self._stream.open()
        topics = await self._records.describe(self._topic_names)
        offsets = await self._stream.next_offsets(topics)
        await self._records.start(topics, offsets)
        log.info("forwarding %s from %s", ", ".join(self._topic_names), offsets or "the beginning")
        return topics

    async def _look_around(self, topics: list[Topic]) -> None:
        await self._stream.check()
        # A topic that was made anew is told by its offsets only where they go back.
        if await self._records.describe(self._topic_names) != topics:
            raise TopicsChanged("the topics are not those that reading began with")
