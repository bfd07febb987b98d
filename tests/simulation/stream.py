"""A stream's messages by sequence, and the message ids that it remembers."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from contracts.headers import MESSAGE_ID
from services.bridge.jetstream import (
    EXPECTED_LAST_MESSAGE_ID,
    EXPECTED_LAST_OF_SUBJECTS,
    EXPECTED_LAST_SEQUENCE,
    SUBJECTS,
)
from tests.simulation.world import World

WRONG_LAST_SEQUENCE = {"code": 400, "err_code": 10071}
WRONG_LAST_MESSAGE_ID = {"code": 400, "err_code": 10070}


@dataclass(frozen=True, slots=True)
class Wire:
    """A message between a client and the server, without its subject."""

    data: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """A message in a stream."""

    sequence: int
    subject: str
    headers: dict[str, str]
    data: bytes


@lru_cache(maxsize=10_000)
def matches(pattern: str, subject: str) -> bool:
    """NATS's wildcards: `*` is one token, `>` the rest."""
    wanted, tokens = pattern.split("."), subject.split(".")
    for number, token in enumerate(wanted):
        if token == ">":
            return len(tokens) > number
        if number >= len(tokens) or token not in ("*", tokens[number]):
            return False
    return len(wanted) == len(tokens)


class Stream:
    """One stream with its durable consumers, which go with it."""

    def __init__(self, world: World, config: dict[str, Any], duplicate_window: float) -> None:
        self.config = config
        self.messages: list[Stored] = []
        self.durables: dict[str, Any] = {}
        self._world = world
        self._duplicate_window = duplicate_window
        self._remembered: dict[str, tuple[float, int]] = {}

    @property
    def last_sequence(self) -> int:
        return len(self.messages)

    @property
    def last_message_id(self) -> str | None:
        return self.messages[-1].headers.get(MESSAGE_ID) if self.messages else None

    def takes(self, subject: str) -> bool:
        return any(matches(pattern, subject) for pattern in self.config["subjects"])

    def fence(self, headers: dict[str, str]) -> dict[str, Any] | None:
        """The error that a message with these headers is refused with; None if the stream ends as they expect."""
        expected = headers.get(EXPECTED_LAST_SEQUENCE)
        if expected is not None and int(expected) != self.last_sequence:
            self._world.struck("publish fenced")
            return {**WRONG_LAST_SEQUENCE, "description": f"wrong last sequence: {self.last_sequence}"}
        before = headers.get(EXPECTED_LAST_MESSAGE_ID)
        if before is not None and before != self.last_message_id:
            self._world.struck("chain broken by another bridge")
            return {**WRONG_LAST_MESSAGE_ID, "description": f"wrong last msg ID: {self.last_message_id}"}
        if SUBJECTS in headers:
            last = self.last(headers[SUBJECTS])
            ends = last.sequence if last else 0
            if ends != int(headers[EXPECTED_LAST_OF_SUBJECTS]):
                self._world.struck("partition continued by another bridge")
                return {**WRONG_LAST_SEQUENCE, "description": f"wrong last sequence: {ends}"}
        return None

    def remembers(self, message_id: str | None) -> int | None:
        """The sequence under which a message with this id was stored within the window; None if none was."""
        when, sequence = self._remembered.get(message_id or "", (-self._duplicate_window, None))
        return sequence if self._world.now - when < self._duplicate_window else None

    def append(self, subject: str, headers: dict[str, str], data: bytes) -> Stored:
        stored = Stored(self.last_sequence + 1, subject, headers, data)
        self.messages.append(stored)
        if MESSAGE_ID in headers:
            self._remembered[headers[MESSAGE_ID]] = self._world.now, stored.sequence
        return stored

    def lose_tail(self, count: int) -> int:
        lost = min(count, len(self.messages))
        for message in self.messages[len(self.messages) - lost :]:
            self._remembered.pop(message.headers.get(MESSAGE_ID, ""), None)
        del self.messages[len(self.messages) - lost :]
        return lost

    def last(self, subjects: str) -> Stored | None:
        return next((message for message in reversed(self.messages) if matches(subjects, message.subject)), None)

    def info(self) -> dict[str, Any]:
        state = {"messages": len(self.messages), "first_seq": 1, "last_seq": self.last_sequence}
        return {"config": self.config, "state": state}
