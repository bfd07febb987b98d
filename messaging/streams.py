"""JetStream's streams and durable consumers: every option is declared here, and reconciled on the server.

Subjects are `events.<aggregate>.<kafka partition>.<EventType>`. Aggregate ids are never part of a subject: JetStream
keeps state in memory for each distinct subject.
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
"""Errors of a call to NATS while the server is away or starting, or while the stream does not exist yet."""

EVENTS = "EVENTS"
DEAD_LETTERS = "DEAD_LETTERS"

STREAMS: dict[str, dict[str, Any]] = {
    EVENTS: {
        "description": "Every event, forwarded from Kafka by the bridge, in the order of each partition",
        "subjects": ["events.*.*.*"],
        # A lost stream is refilled from Kafka or from the outboxes: these limits bound the disk only.
        "max_age": 7 * DAY,
        "max_bytes": 4096 * MEBIBYTE,
        # An optimisation: handlers are idempotent, so repeats outside of the window do no harm.
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
    """A service's durable consumer: the server keeps its position in the event stream.

    Attributes:
        name: the service's name. Its dead letters are stored and redelivered under it.
        subjects: the events that it subscribes to.
        ack_wait: seconds until the server redelivers an unacknowledged message, e.g. one that a killed process had in
            hand. Work that takes longer sends in-progress acks.
        max_ack_pending: messages that are delivered and not acknowledged yet, over all instances, at most. Messages
            that wait for their next attempt count too: with a low limit some thousand of them would stop all others.
        generation: of the view, for a service that fills several. Each generation has a durable consumer of its own,
            which is deleted with it.
    """

    name: str
    subjects: tuple[str, ...]
    stream: str = EVENTS
    ack_wait: float = 6.0
    max_ack_pending: int = 100_000
    generation: str = ""

    @property
    def durable_name(self) -> str:
        return f"{self.name}_{self.generation}" if self.generation else self.name

    def config(self) -> dict[str, Any]:
        """The configuration in the terms of JetStream's API."""
        return {
            "name": self.durable_name,
            "durable_name": self.durable_name,
            "filter_subjects": [*self.subjects, retry_subject(self.name)],
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": int(self.ack_wait * SECOND),
            # Unlimited: messaging.consumer decides what is poison, because it can tell transient errors apart.
            "max_deliver": -1,
            "max_ack_pending": self.max_ack_pending,
            "replay_policy": "instant",
            "num_replicas": 1,
        }


def subjects_of(aggregate: str, events: EventRegistry[E]) -> tuple[str, ...]:
    """The subjects of these events of an aggregate, in all Kafka partitions."""
    return tuple(f"events.{aggregate}.*.{event_type}" for event_type in events.types)


def retry_subject(consumer: str) -> str:
    """The subject on which a dead letter is redelivered to the one consumer that could not handle it."""
    return f"events.retry.{consumer}.DeadLetter"


async def ensure_stream(client: Client, name: str) -> dict[str, Any]:
    """Creates the stream, or changes its configuration to the declared one; returns its state.

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
        log.info("changed the stream %s to its declared configuration", name)
    state: dict[str, Any] = info["state"]
    return state


async def ensure_consumer(client: Client, consumer: DurableConsumer) -> None:
    """Creates the durable consumer, or changes it to the declared configuration.

    If its position is past the stream's end, the stream lost its tail or was replaced. The consumer would skip new
    messages up to its position, so it is deleted and created again: it starts from the beginning.

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
    wanted["filter_subjects"] = _union(_subjects(info["config"]), wanted["filter_subjects"])
    if _differs(wanted, info["config"]):
        await _create_consumer(client, consumer, wanted, "update")
        log.info("changed the durable consumer %s to its declared configuration", name)


def _subjects(config: dict[str, Any]) -> list[str]:
    """The filters of a consumer; none if it takes the whole stream, which no version of a service asks for."""
    single = config.get("filter_subject")
    return config.get("filter_subjects") or ([single] if single else [])


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
    """The durable consumers whose position is past `last_sequence`."""
    infos = await consumer_infos(client, stream)
    return [info["name"] for info in infos if info["delivered"]["stream_seq"] > last_sequence]


async def delete_consumer(client: Client, stream: str, name: str) -> None:
    """Deletes a durable consumer. Its subscribers lose their subscription and create it again, from the beginning."""
    await request(client, f"CONSUMER.DELETE.{stream}.{name}")


async def request(client: Client, call: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One call of JetStream's API (`$JS.API.<call>`), for calls that the client library does not offer.

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
