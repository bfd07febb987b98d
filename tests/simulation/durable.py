"""A durable pull consumer in the server: delivers messages, waits for acknowledgements, and redelivers."""

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.headers import MESSAGE_ID
from messaging.streams import SECOND
from tests.simulation.stream import Stored, Stream, Wire, matches
from tests.simulation.world import World

START = datetime(2026, 1, 1, tzinfo=UTC)
"""The server's clock at the start of a run."""

FORGOTTEN_AT_A_CRASH = 4
"""A crash of the server loses at most so many of a consumer's last steps, which it has not written to disk."""


@dataclass
class Request:
    """A client's open request for messages."""

    client: Any
    inbox: str
    left: int
    expires: float
    heartbeat: float
    open: bool = True


@dataclass
class Pending:
    """A message that was delivered and is not acknowledged."""

    delivered: int
    """The consumer's own sequence of the delivery."""
    deadline: float
    count: int


class Durable:
    """The consumer's position, its pending messages and the open requests.

    Args:
        acknowledged: (durable name, event id) of everything that was ever acknowledged, also to consumers that are
            gone: to count the repeats that a handler receives.
    """

    def __init__(
        self,
        world: World,
        stream_name: str,
        stream: Stream,
        config: dict[str, Any],
        acknowledged: set[tuple[str, str]],
    ) -> None:
        self.config = config
        self._world = world
        self._acknowledged = acknowledged
        self._stream_name = stream_name
        self._stream = stream
        self._ack_wait = config["ack_wait"] / SECOND
        self._position = 0 if config["deliver_policy"] == "all" else stream.last_sequence
        self._deliveries = 0
        self._pending: dict[int, Pending] = {}
        self._again: list[int] = []
        self._requests: list[Request] = []
        self._timer: asyncio.TimerHandle | None = None
        self._paused_until = 0.0

    @property
    def name(self) -> str:
        return str(self.config["durable_name"])

    def info(self) -> dict[str, Any]:
        acknowledged = min(self._pending, default=self._position + 1) - 1
        return {
            "name": self.name,
            "config": self.config,
            "delivered": {"consumer_seq": self._deliveries, "stream_seq": self._position},
            "ack_floor": {"stream_seq": acknowledged},
            "num_pending": sum(self._wants(message) for message in self._stream.messages[self._position :]),
            "num_ack_pending": len(self._pending),
            "ts": (START + timedelta(seconds=self._world.now)).isoformat(),
        }

    def pause(self, until: str) -> None:
        """Delivers nothing until then."""
        self._paused_until = (datetime.fromisoformat(until) - START).total_seconds()
        asyncio.get_running_loop().call_at(self._paused_until, self.deliver)

    # Requests

    def request(self, request: Request) -> None:
        self._requests.append(request)
        self._beat(request)
        self.deliver()

    def forget(self, client: Any, inbox: str | None = None) -> None:
        """Ends a client's requests, or those of one of its inboxes."""
        for request in self._requests:
            is_ended = request.client is client and inbox in (None, request.inbox)
            request.open = request.open and not is_ended
        self._requests = [request for request in self._requests if request.open]

    def delete(self) -> None:
        for request in self._requests:
            request.client.send(request.inbox, _status("409", "Consumer Deleted"))
        self.vanish()

    def vanish(self) -> None:
        for request in self._requests:
            request.open = False
        self._requests.clear()
        self._pending.clear()
        self._again.clear()
        if self._timer:
            self._timer.cancel()

    def _beat(self, request: Request) -> None:
        if not request.open:
            return
        if self._world.now >= request.expires:
            request.client.send(request.inbox, _status("408", "Request Timeout", request.left))
            request.open = False
            self._requests.remove(request)
            return
        wait = min(request.heartbeat, request.expires - self._world.now)
        asyncio.get_running_loop().call_later(wait, self._beat_again, request)

    def _beat_again(self, request: Request) -> None:
        if request.open and self._world.now < request.expires:
            request.client.send(request.inbox, _status("100", "Idle Heartbeat"))
        self._beat(request)

    # Delivery

    def deliver(self) -> None:
        """Delivers messages while there are messages and requests."""
        if self._world.now < self._paused_until:
            return
        while self._requests and len(self._pending) < self.config["max_ack_pending"]:
            message = self._next()
            if message is None:
                return
            self._send(message, self._requests[0])

    def _next(self) -> Stored | None:
        while self._again:
            sequence = self._again.pop(0)
            if sequence in self._pending and sequence <= self._stream.last_sequence:
                return self._stream.messages[sequence - 1]
        while self._position < self._stream.last_sequence:
            message = self._stream.messages[self._position]
            self._position += 1
            if self._wants(message):
                return message
        return None

    def _wants(self, message: Stored) -> bool:
        return any(matches(pattern, message.subject) for pattern in self.config["filter_subjects"])

    def _send(self, message: Stored, request: Request) -> None:
        self._deliveries += 1
        before = self._pending.get(message.sequence)
        count = before.count + 1 if before else 1
        if before:
            self._world.struck("message redelivered")
        if (self.name, message.headers.get(MESSAGE_ID, "")) in self._acknowledged:
            self._world.struck(f"acknowledged event delivered to {self.name.partition('_')[0]} again")
        self._pending[message.sequence] = Pending(self._deliveries, self._world.now + self._ack_wait, count)
        self._wake_at_the_next_deadline()
        request.left -= 1
        if request.left == 0:
            request.open = False
            self._requests.remove(request)
        elif self._world.rng.random() < 0.2:  # so that two instances share the work
            self._requests.append(self._requests.pop(0))
        reply = f"$JS.ACK.{self._stream_name}.{self.name}.{count}.{message.sequence}.{self._deliveries}.0.0"
        request.client.deliver(request.inbox, message, reply)

    # Acknowledgements

    def acknowledge(self, sequence: int, answer: bytes) -> None:
        """Takes a client's answer to a delivery: +ACK, -NAK with or without a delay, or +WPI (in progress)."""
        pending = self._pending.get(sequence)
        if pending is None:
            return
        if answer.startswith(b"+WPI"):
            pending.deadline = self._world.now + self._ack_wait
        elif answer.startswith(b"-NAK"):
            delay = json.loads(answer[4:]).get("delay", 0) / SECOND if answer[4:].strip() else 0
            pending.deadline = self._world.now + delay
        else:
            del self._pending[sequence]
            if sequence <= self._stream.last_sequence:
                event_id = self._stream.messages[sequence - 1].headers.get(MESSAGE_ID, "")
                self._acknowledged.add((self.name, event_id))
            self.deliver()
            return
        self._wake_at_the_next_deadline()

    def expire_pending(self) -> None:
        for pending in self._pending.values():
            pending.deadline = self._world.now
        self._wake_at_the_next_deadline()

    def _wake_at_the_next_deadline(self) -> None:
        waiting = [p.deadline for sequence, p in self._pending.items() if sequence not in self._again]
        if not waiting:
            return
        wake = min(waiting)
        if self._timer is None or self._timer.cancelled() or wake < self._timer.when():
            if self._timer:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_at(wake, self._redeliver)

    def _redeliver(self) -> None:
        self._timer = None
        for sequence, pending in self._pending.items():
            if pending.deadline <= self._world.now and sequence not in self._again:
                self._again.append(sequence)
        self._again.sort()
        self._wake_at_the_next_deadline()
        self.deliver()

    def crash(self) -> None:
        """The last steps may not be on disk: messages that were acknowledged are delivered again."""
        forgotten = self._world.rng.randint(0, FORGOTTEN_AT_A_CRASH)
        for sequence in range(max(0, self._position - forgotten) + 1, self._position + 1):
            message = self._stream.messages[sequence - 1] if sequence <= self._stream.last_sequence else None
            if message and self._wants(message):
                self._pending.setdefault(sequence, Pending(0, self._world.now + self._ack_wait, 1))
        self._wake_at_the_next_deadline()


def _status(code: str, description: str, pending: int | None = None) -> Wire:
    headers = {"Status": code, "Description": description}
    if pending is not None:
        headers["Nats-Pending-Messages"] = str(pending)
    return Wire(b"", headers)
