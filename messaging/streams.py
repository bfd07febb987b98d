"""JetStream's streams and durable consumers: every option written down, reconciled to what is written.

Subjects are `events.<aggregate>.<kafka partition>.<EventType>`. Aggregate ids never become a token:
JetStream keeps state in memory for each distinct subject.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TypeVar

import nats.errors
from nats.aio.client import Client
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from contracts.registry import EventRegistry
from contracts.wire import Event

log = logging.getLogger(__name__)

E = TypeVar("E", bound=Event)

SECOND = 10**9  # JetStream's API counts in nanoseconds
DAY = 24 * 3600 * SECOND
MEBIBYTE = 2**20

API_TIMEOUT_SECONDS = 5.0

UNREACHABLE_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    nats.errors.Error,  # includes JetStream's API errors
)
"""What a call to NATS raises while the server is away, starting, or has not got the stream yet."""

EVENTS = "EVENTS"
DEAD_LETTERS = "DEAD_LETTERS"

STREAMS: dict[str, dict[str, Any]] = {
    EVENTS: {
        "description": "Every event, forwarded from Kafka by the bridge, in the order of each partition",
        "subjects": ["events.*.*.*"],
        # Refilled from Kafka or the outboxes when lost, so the limits bound the disk, not the truth.
        "max_age": 7 * DAY,
        "max_bytes": 4096 * MEBIBYTE,
        # Only an optimisation: repeats outside of it are absorbed by the handlers.
        "duplicate_window": 120 * SECOND,
        "allow_atomic": True,
        "allow_direct": True,
    },
    DEAD_LETTERS: {
        "description": "Messages that a consumer could not handle, with the error and their origin",
        "subjects": ["dead.*"],
        "max_age": 30 * DAY,
        "max_bytes": 512 * MEBIBYTE,
        "duplicate_window": 120 * SECOND,
        "allow_direct": True,
    },
}

STREAM_DEFAULTS: dict[str, Any] = {
    "retention": "limits",
    "storage": "file",
    "discard": "old",
    "num_replicas": 1,
    "max_consumers": -1,
    "max_msgs": -1,
    "max_msg_size": -1,
}


@dataclass(frozen=True, slots=True)
class DurableConsumer:
    """A service's place in the event stream, kept by the server.

    Attributes:
        name: the service's; its dead letters are kept and sent again under this name.
        subjects: what it wants to see of the stream.
        ack_wait: seconds until an unacknowledged message is delivered again. It bounds how long
            messages in the hands of a killed process stay away; work that takes longer says so
            with in-progress acks.
        max_ack_pending: most messages handed out and not yet acknowledged, over all instances.
        generation: which of the service's stores is filled, if it has more than one; each has a place
            of its own, and goes with it.
    """

    name: str
    subjects: tuple[str, ...]
    stream: str = EVENTS
    ack_wait: float = 6.0
    max_ack_pending: int = 4096
    generation: str = ""

    @property
    def durable_name(self) -> str:
        return f"{self.name}_{self.generation}" if self.generation else self.name

    def config(self) -> dict[str, Any]:
        """The configuration as JetStream's API spells it."""
        return {
            "name": self.durable_name,
            "durable_name": self.durable_name,
            "filter_subjects": [*self.subjects, retry_subject(self.name)],
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": int(self.ack_wait * SECOND),
            # Unlimited: what is poison is decided by the consumer, which keeps transient faults apart.
            "max_deliver": -1,
            "max_ack_pending": self.max_ack_pending,
            "replay_policy": "instant",
            "num_replicas": 1,
        }


def subjects_of(aggregate: str, events: EventRegistry[E]) -> tuple[str, ...]:
    """The subjects of these events of an aggregate, in all Kafka partitions."""
    return tuple(f"events.{aggregate}.*.{event_type}" for event_type in events.types)


def retry_subject(consumer: str) -> str:
    """Where a dead letter is sent again to the one consumer that could not handle it."""
    return f"events.retry.{consumer}.DeadLetter"


async def ensure_stream(client: Client, name: str) -> dict[str, Any]:
    """Creates the stream or brings its configuration to what is written above; returns its state.

    The state is JetStream's: `messages`, `first_seq`, `last_seq` and so on.
    """
    wanted = {"name": name, **STREAM_DEFAULTS, **STREAMS[name]}
    try:
        info = await request(client, f"STREAM.INFO.{name}")
    except NotFoundError:
        info = await request(client, f"STREAM.CREATE.{name}", wanted)
        log.info("created the stream %s", name)
    if _differs(wanted, info["config"]):
        info = await request(client, f"STREAM.UPDATE.{name}", {**info["config"], **wanted})
        log.info("changed the stream %s to what is written", name)
    state: dict[str, Any] = info["state"]
    return state


async def ensure_consumer(client: Client, consumer: DurableConsumer) -> None:
    """Creates the durable consumer, or changes it, or starts it again from the beginning.

    The last happens when its position lies beyond the stream's end: the stream lost its tail or was
    replaced, and what arrives from now on would be taken for seen.

    Raises:
        NotFoundError: the stream does not exist (yet).
    """
    wanted, name = consumer.config(), consumer.durable_name
    try:
        info = await request(client, f"CONSUMER.INFO.{consumer.stream}.{name}")
    except NotFoundError:
        await _create_consumer(client, consumer, wanted, "create")
        log.info("created the durable consumer %s", name)
        return
    # Read after the consumer's position: messages that are delivered meanwhile must not look like a lost tail.
    stream = await request(client, f"STREAM.INFO.{consumer.stream}")
    if info["delivered"]["stream_seq"] > stream["state"]["last_seq"]:
        log.warning("%s starts from the beginning of %s, which lost messages", name, consumer.stream)
        await delete_consumer(client, consumer.stream, name)
        await _create_consumer(client, consumer, wanted, "create")
        return
    # Subjects are only added: during a rolling deployment a newer version has added some, and an older instance that
    # took them away would make the consumer skip their events.
    wanted["filter_subjects"] = _union(info["config"]["filter_subjects"], wanted["filter_subjects"])
    if _differs(wanted, info["config"]):
        await _create_consumer(client, consumer, wanted, "update")
        log.info("changed the durable consumer %s to what is written", name)


def _union(present: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """All subjects of both, without those that another one covers: JetStream refuses filters that overlap."""
    subjects = list(dict.fromkeys([*present, *wanted]))
    return [
        subject for subject in subjects if not any(_covers(other, subject) for other in subjects if other != subject)
    ]


def _covers(pattern: str, subject: str) -> bool:
    """Whether the pattern matches whatever the subject matches: `*` is one token, `>` all that follow."""
    for part, other in zip_longest(pattern.split("."), subject.split(".")):
        if part == ">":
            return other is not None
        if part != other and (part != "*" or other in (None, ">")):
            return False
    return True


async def consumer_infos(client: Client, stream: str) -> list[dict[str, Any]]:
    """All consumers of a stream, as JetStream describes them."""
    infos: list[dict[str, Any]] = (await request(client, f"CONSUMER.LIST.{stream}"))["consumers"]
    return infos


async def consumers_beyond(client: Client, stream: str, last_sequence: int) -> list[str]:
    """The durable consumers that were handed messages which the stream has not got (any more)."""
    infos = await consumer_infos(client, stream)
    return [info["name"] for info in infos if info["delivered"]["stream_seq"] > last_sequence]


async def delete_consumer(client: Client, stream: str, name: str) -> None:
    """Whoever pulls from it loses the subscription, creates it again, and starts from the beginning."""
    await request(client, f"CONSUMER.DELETE.{stream}.{name}")


async def request(client: Client, call: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One call of JetStream's API (`$JS.API.<call>`), for what the client library has no name for.

    Raises:
        NotFoundError, APIError: the server's answer.
        ServiceUnavailableError: JetStream is not up.
    """
    try:
        payload = json.dumps(body).encode() if body else b""
        reply = await client.request(f"$JS.API.{call}", payload, timeout=API_TIMEOUT_SECONDS)
    except nats.errors.NoRespondersError as error:
        raise ServiceUnavailableError(code=503, description="JetStream does not answer") from error
    answer: dict[str, Any] = json.loads(reply.data)
    if "error" in answer:
        APIError.from_error(answer["error"])
    return answer


async def _create_consumer(client: Client, consumer: DurableConsumer, wanted: dict[str, Any], action: str) -> None:
    body = {"stream_name": consumer.stream, "config": wanted, "action": action}
    await request(client, f"CONSUMER.CREATE.{consumer.stream}.{consumer.durable_name}", body)


def _differs(wanted: dict[str, Any], present: dict[str, Any]) -> bool:
    return any(present.get(key) != value for key, value in wanted.items())
