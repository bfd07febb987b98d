"""Where a message goes that its consumer cannot handle: out of the way, but not lost."""

import logging

from nats.aio.client import Client

from contracts.headers import KAFKA_OFFSET, KAFKA_PARTITION, KAFKA_TOPIC, MESSAGE_ID
from messaging.pull import Delivery
from messaging.streams import DEAD_LETTERS

log = logging.getLogger(__name__)

CONSUMER = "Dead-Letter-Consumer"
ERROR = "Dead-Letter-Error"
ORIGIN_SUBJECT = "Dead-Letter-Subject"
ORIGIN_SEQUENCE = "Dead-Letter-Sequence"

ORIGIN_IN_KAFKA = "Origin-In-Kafka"
"""Topic, partition and offset in one: unlike the bridge's headers, it stays with a message that is sent again."""

FOR_THE_SERVER = "Nats-"
ERROR_LENGTH = 1000


class DeadLetters:
    """The dead letters of one service's consumers, in the stream DEAD_LETTERS under `dead.<service>`."""

    def __init__(self, client: Client, consumer: str) -> None:
        self._jetstream = client.jetstream()
        self._consumer = consumer

    async def store(self, delivery: Delivery, error: Exception) -> None:
        """Stores the message as it came, with the error and where it stood.

        Raises:
            nats.errors.Error: not stored; the message must not be acked.
        """
        # Those for the server are left out: it keeps them with the message, and would hold the dead letter
        # to the fence and the batch of the stream that it came from.
        headers = {name: value for name, value in delivery.headers.items() if not name.startswith(FOR_THE_SERVER)}
        # Of its own, so that the server's deduplication cannot take it for the event itself.
        headers[MESSAGE_ID] = f"{self._consumer}:{delivery.sequence}:{delivery.headers.get(MESSAGE_ID, '')}"
        headers[CONSUMER] = self._consumer
        headers[ERROR] = _one_line(error)
        headers[ORIGIN_SUBJECT] = delivery.subject
        headers[ORIGIN_SEQUENCE] = str(delivery.sequence)
        if KAFKA_TOPIC in headers:
            headers[ORIGIN_IN_KAFKA] = f"{headers[KAFKA_TOPIC]}/{headers[KAFKA_PARTITION]}@{headers[KAFKA_OFFSET]}"
        await self._jetstream.publish(f"dead.{self._consumer}", delivery.payload, headers=headers, stream=DEAD_LETTERS)
        log.error("dead letter: %s sequence %d: %s", delivery.subject, delivery.sequence, headers[ERROR])


def _one_line(error: Exception) -> str:
    # A header is one line of ASCII-safe text.
    text = f"{type(error).__name__}: {error}".encode("ascii", "backslashreplace").decode()
    return " ".join(text.split())[:ERROR_LENGTH]
