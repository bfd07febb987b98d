"""Dead letters: messages that a consumer cannot handle are stored apart, so that the others go on."""

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
"""Topic, partition and offset in one header. A redelivered message keeps it, but not the bridge's position headers."""

SERVER_PREFIX = "Nats-"
ERROR_LENGTH = 1000


class DeadLetters:
    """The dead letters of one service's consumers, in the stream DEAD_LETTERS under `dead.<service>`."""

    def __init__(self, client: Client, consumer: str) -> None:
        self._jetstream = client.jetstream()
        self._consumer = consumer

    async def store(self, delivery: Delivery, error: Exception) -> None:
        """Stores the message unchanged, with the error and its origin in headers.

        Raises:
            nats.errors.Error: not stored; the message must not be acked.
        """
        # Headers for the server are left out: it would apply the fence and the batch of the other stream to this one.
        headers = {name: value for name, value in delivery.headers.items() if not name.startswith(SERVER_PREFIX)}
        # An id of its own: the server's deduplication must not take the dead letter for a repeat of the event.
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
    # A header is one line; ASCII is safe in all clients.
    text = f"{type(error).__name__}: {error}".encode("ascii", "backslashreplace").decode()
    return " ".join(text.split())[:ERROR_LENGTH]
