"""From a Kafka record to a JetStream message.

Pure. Every record becomes exactly one message, even one that nobody can read: the position in Kafka
is taken from the stream, so a record left out would be a gap, and the consumers have a place for
what they cannot read. A record that the stream would refuse leaves a message of the same position that
says why; its content stays in Kafka.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from contracts.headers import ID, KAFKA_OFFSET, KAFKA_PARTITION, KAFKA_TOPIC, KAFKA_TOPIC_ID, MESSAGE_ID, PROBLEM, TYPE

UNREADABLE = "Unreadable"
"""The type token of a record that names no event type of its own."""

LARGEST_PAYLOAD = 2**20
LARGEST_HEADERS = 2**15
"""Bytes. The server takes twice as much, of a message (max_payload) and of its headers (64 KiB): a dead letter has some
more. Larger records can come, for Kafka's limit counts them as they are compressed."""

_TYPE_TOKEN = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,127}")
# What NATS takes as a header's name, but for those by which a message speaks to the server or to its client.
_HEADER_NAME = re.compile(r"(?i)(?!nats-|status$|description$)[!#$%&'*+\-.^_`|~0-9a-z]+")
_NOT_IN_A_HEADER = re.compile(r"[\r\n\x00]")


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record with where it stood.

    Attributes:
        topic: `events.<aggregate>`.
        topic_id: Kafka's own id of the topic, another one after the topic or the cluster was made anew.
        headers: as Debezium wrote them; a value may be None.
    """

    topic: str
    topic_id: str
    partition: int
    offset: int
    value: bytes
    headers: Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Message:
    """A JetStream message, ready to be published."""

    subject: str
    headers: dict[str, str]
    payload: bytes

    @property
    def event_id(self) -> str | None:
        return self.headers.get(MESSAGE_ID)

    @property
    def partition_subjects(self) -> str:
        """The subjects of all messages of its Kafka partition."""
        return f"{self.subject.rpartition('.')[0]}.>"


def partition_subjects(topic: str, partition: int) -> str:
    """The subjects of all messages that came from a Kafka partition."""
    return f"{topic}.{partition}.>"


def translate(record: Record) -> Message:
    """The message for a record: its headers, its event id for deduplication, and its position."""
    headers = {name: _header_value(value) for name, value in record.headers if value and _is_header_name(name)}
    payload, event_type = record.value, headers.get(TYPE, "")
    token = event_type if _TYPE_TOKEN.fullmatch(event_type) else UNREADABLE
    if (size := _size(headers)) > LARGEST_HEADERS:
        headers = {PROBLEM: f"the record's headers have {size} bytes, {LARGEST_HEADERS} are taken: see Kafka"}
    if (size := len(payload)) > LARGEST_PAYLOAD:
        payload = b""
        headers[PROBLEM] = f"the record has {size} bytes, {LARGEST_PAYLOAD} are taken: see Kafka"
    if headers.get(ID):
        headers[MESSAGE_ID] = headers[ID]
    headers[KAFKA_TOPIC] = record.topic
    headers[KAFKA_TOPIC_ID] = record.topic_id
    headers[KAFKA_PARTITION] = str(record.partition)
    headers[KAFKA_OFFSET] = str(record.offset)
    return Message(f"{record.topic}.{record.partition}.{token}", headers, payload)


@lru_cache(maxsize=256)  # the same few names in every record
def _is_header_name(name: str) -> bool:
    return _HEADER_NAME.fullmatch(name) is not None


def _size(headers: Mapping[str, str]) -> int:
    """On the wire, with a colon, a space and the line's end for each."""
    return sum(len(name) + len(value.encode()) + 4 for name, value in headers.items())


def _header_value(value: bytes) -> str:
    return _NOT_IN_A_HEADER.sub(" ", value.decode("utf-8", "backslashreplace"))
