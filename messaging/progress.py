"""A durable consumer's progress, and pausing it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nats.aio.client import Client

from messaging.streams import DurableConsumer, request


@dataclass(frozen=True, slots=True)
class Progress:
    """A consumer's position in the stream.

    Attributes:
        delivered: the last sequence that was delivered.
        acknowledged: the sequence up to which all messages are acknowledged.
        left: how many messages are not acknowledged yet, delivered or not.
    """

    delivered: int
    acknowledged: int
    left: int


async def progress(client: Client, consumer: DurableConsumer) -> Progress:
    """Asks the server.

    Raises:
        NotFoundError: the consumer does not exist (yet).
    """
    return read_progress(await request(client, f"CONSUMER.INFO.{consumer.stream}.{consumer.durable_name}"))


def read_progress(info: dict[str, Any]) -> Progress:
    """Reads it from JetStream's description of a consumer."""
    return Progress(
        delivered=info["delivered"]["stream_seq"],
        acknowledged=info["ack_floor"]["stream_seq"],
        left=info["num_pending"] + info["num_ack_pending"],
    )


async def last_sequence(client: Client, stream: str) -> int:
    """The stream's last sequence."""
    info = await request(client, f"STREAM.INFO.{stream}")
    return int(info["state"]["last_seq"])


async def pause(client: Client, consumer: DurableConsumer, seconds: float) -> None:
    """Pauses delivery to all instances for so many seconds. It resumes by itself.

    Messages that were delivered before can still be handled and acknowledged.
    """
    where = f"{consumer.stream}.{consumer.durable_name}"
    info = await request(client, f"CONSUMER.INFO.{where}")
    until = datetime.fromisoformat(info["ts"]) + timedelta(seconds=seconds)  # by the server's clock
    await request(client, f"CONSUMER.PAUSE.{where}", {"pause_until": until.isoformat()})
