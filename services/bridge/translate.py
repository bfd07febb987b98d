"""Translates a Kafka record to a JetStream message.

Pure. Each record becomes exactly one message, even a record that nobody can read. The bridge reads its position from
the stream, so a record without a message would be a gap. Consumers turn unreadable messages into dead letters. If the
stream would refuse a record, its message has the same position, no content, and a header that says why.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from contracts.headers import ID, KAFKA_OFFSET, KAFKA_PARTITION, KAFKA_TOPIC, KAFKA_TOPIC_ID, MESSAGE_ID, PROBLEM, TYPE

UNREADABLE = "Unreadable"
"""The type token in the subject of a record without a valid event type."""

LARGEST_PAYLOAD = 2**20
LARGEST_HEADERS = 2**15
"""Bytes. The server accepts twice as much of both (max_payload, and 64 KiB of headers): a dead letter is a little
larger than its message. Larger records exist because Kafka's limit counts compressed bytes."""

_TYPE_TOKEN = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,127}")
# Names that NATS accepts, without those that the server or the client library would act on.
_HEADER_NAME = re.compile(r"(?i)(?!nats-|status$|description$)[!#$%&'*+\-.^_`|~0-9a-z]+")
_NOT_IN_A_HEADER = re.compile(r"[\r\n\x00]")


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record and its position.

    Attributes:
        topic: `events.<aggregate>`.
        topic_id: Kafka's id of the topic. A topic that was recreated under the same name has another id.
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
        headers = {PROBLEM: f"the record's headers have {size} bytes, the limit is {LARGEST_HEADERS}: read it in Kafka"}
    if (size := len(payload)) > LARGEST_PAYLOAD:
        payload = b""
        headers[PROBLEM] = f"the record has {size} bytes, the limit is {LARGEST_PAYLOAD}: read it in Kafka"
    if headers.get(ID):
        headers[MESSAGE_ID] = headers[ID]
    headers[KAFKA_TOPIC] = record.topic
    headers[KAFKA_TOPIC_ID] = record.topic_id
    headers[KAFKA_PARTITION] = str(record.partition)
    headers[KAFKA_OFFSET] = str(record.offset)
    return Message(f"{record.topic}.{record.partition}.{token}", headers, payload)


@lru_cache(maxsize=256)  # every record has the same few names
def _is_header_name(name: str) -> bool:
    return _HEADER_NAME.fullmatch(name) is not None


def _size(headers: Mapping[str, str]) -> int:
    """Bytes on the wire: each header has a colon, a space and a line end too."""
    return sum(len(name) + len(value.encode()) + 4 for name, value in headers.items())


def _header_value(value: bytes) -> str:
    return _NOT_IN_A_HEADER.sub(" ", value.decode("utf-8", "backslashreplace"))
