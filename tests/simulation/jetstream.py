"""A NATS server with JetStream, as far as messaging/ and the bridge use it: the protocol, not the library.

The code above it runs unchanged: messaging.streams, messaging.pull, messaging.dead_letters and
services.bridge.jetstream talk to this as they talk to the real server, by subjects, headers and JSON.
"""

import base64
import json
from collections.abc import Callable
from typing import Any

from contracts.headers import MESSAGE_ID
from messaging.streams import SECOND
from services.bridge.jetstream import BATCH_COMMIT, BATCH_ID, BATCH_SEQUENCE
from tests.simulation.durable import Durable, Request
from tests.simulation.stream import Stored, Stream, Wire
from tests.simulation.world import World

Json = dict[str, Any]

API = "$JS.API."
ACKS = "$JS.ACK."
UNSUBSCRIBE = "UNSUB"
"""Replaces the subject in a message of the protocol; the reply names the inbox of the subscription that ends."""
TIME = "2026-01-01T00:00:00Z"
STREAM_NOT_FOUND = {"code": 404, "err_code": 10059, "description": "stream not found"}
CONSUMER_NOT_FOUND = {"code": 404, "err_code": 10014, "description": "consumer not found"}
NO_MESSAGE = {"code": 404, "err_code": 10037, "description": "no message found"}
REPEAT_IN_BATCH = {"code": 400, "err_code": 10201, "description": "duplicate message id in the batch"}
INCOMPLETE_BATCH = {"code": 400, "err_code": 10176, "description": "batch publish is incomplete and was abandoned"}

OnAppend = Callable[[str, Stored], None]
"""Is called with the stream's name and each message that was just stored."""


class Refused(Exception):
    """An answer with an error."""

    def __init__(self, error: Json) -> None:
        self.error = error


class Server:
    """The server with its store.

    Args:
        duplicate_window: seconds that an event id is remembered, in place of the stream's configuration: in a run of a
            minute, the real two minutes would hide every repeat from the handlers.
        on_append: checks each message that was stored.
    """

    def __init__(self, world: World, duplicate_window: float, on_append: OnAppend | None = None) -> None:
        self.world = world
        self.up = True
        self.streams: dict[str, Stream] = {}
        self._duplicate_window = duplicate_window
        self._on_append = on_append
        self._clients: dict[Any, None] = {}
        self._acknowledged: set[tuple[str, str]] = set()
        self._batches: dict[str, list[Wire]] = {}

    # The store and its faults

    def crash(self) -> None:
        """Connections, requests and unfinished batches are gone; so may be the last steps of consumers."""
        self.world.note("nats", "crashes")
        self.up = False
        self._batches.clear()
        for client in list(self._clients):
            client.cut()
        for stream in self.streams.values():
            for durable in stream.durables.values():
                durable.crash()

    def start(self) -> None:
        self.up = True
        self.world.note("nats", "is up again")

    def wipe(self) -> None:
        """Deletes the whole store."""
        for stream in list(self.streams):
            self.delete_stream(stream)

    def lose_tail(self, stream: str, count: int) -> None:
        """Deletes the last messages. The consumers keep their positions, which may be beyond the end."""
        if stream in self.streams:
            lost = self.streams[stream].lose_tail(count)
            self.world.note("nats", "loses the last %d messages of %s", lost, stream)
            if lost:
                self.world.struck("tail of the stream lost")

    def delete_stream(self, name: str) -> None:
        """Deletes its consumers too. Clients that pull from them get no message about it."""
        stream = self.streams.pop(name, None)
        for durable in stream.durables.values() if stream else ():
            durable.vanish()

    def delete_durable(self, stream_name: str, name: str) -> None:
        stream = self.streams.get(stream_name)
        durable = stream.durables.pop(name, None) if stream else None
        if durable:
            self.world.note("nats", "deletes the consumer %s", name)
            durable.delete()

    def expire_pending(self, name: str) -> None:
        """As if the ack wait of every delivered message were over."""
        for stream in self.streams.values():
            if name in stream.durables:
                stream.durables[name].expire_pending()

    # Connections

    def connect(self, client: Any) -> bool:
        if self.up:
            self._clients[client] = None
        return self.up

    def clients_of(self, process: str) -> list[Any]:
        return [client for client in self._clients if client.process.startswith(process)]

    def disconnect(self, client: Any) -> None:
        self._clients.pop(client, None)
        self._forget_requests(client)

    def _forget_requests(self, client: Any, inbox: str | None = None) -> None:
        for stream in self.streams.values():
            for durable in stream.durables.values():
                durable.forget(client, inbox)

    # Messages from clients

    def receive(self, client: Any, subject: str, reply: str, message: Wire) -> None:
        if subject == UNSUBSCRIBE:
            self._forget_requests(client, reply)
        elif subject.startswith(ACKS):
            self._acknowledge(subject, message.data)
        elif subject.startswith(API + "CONSUMER.MSG.NEXT."):
            self._pull(client, subject, reply, json.loads(message.data))
        elif subject.startswith(API):
            answer = self._answer(lambda: self._call(subject.removeprefix(API), message.data))
            client.send(reply, Wire(json.dumps(answer).encode()))
        else:
            answer = self._answer(lambda: self._publish(subject, message))
            if reply and answer is not None:
                client.send(reply, Wire(json.dumps(answer).encode()))

    def _answer(self, call: Callable[[], Json | None]) -> Json | None:
        try:
            return call()
        except Refused as refusal:
            return {"error": refusal.error}

    # JetStream's API

    def _call(self, call: str, body: bytes) -> Json:
        kind, verb, *names = call.split(".")
        request = json.loads(body) if body else {}
        if (kind, verb) == ("CONSUMER", "LIST"):
            return {"consumers": [durable.info() for durable in self._stream(names[0]).durables.values()]}
        if kind == "STREAM":
            if names[0] == "GET":  # STREAM.MSG.GET.<stream>
                return self._last_message(names[1], request["last_by_subj"])
            return self._stream_call(verb, names[0], request)
        return self._consumer_call(verb, names[0], names[1], request)

    def _stream_call(self, verb: str, name: str, config: Json) -> Json:
        if verb == "CREATE":
            self.world.note("nats", "creates the stream %s", name)
            self.streams[name] = Stream(self.world, config, self._duplicate_window)
        elif verb == "DELETE":
            self._stream(name)
            self.delete_stream(name)
            return {"success": True}
        elif verb == "UPDATE":
            self._stream(name).config = config
        return self._stream(name).info()

    def _consumer_call(self, verb: str, stream_name: str, name: str, request: Json) -> Json:
        stream = self._stream(stream_name)
        if verb == "CREATE" and name not in stream.durables:
            self.world.note("nats", "creates the consumer %s", name)
            stream.durables[name] = Durable(self.world, stream_name, stream, request["config"], self._acknowledged)
        if name not in stream.durables:
            raise Refused(CONSUMER_NOT_FOUND)
        if verb == "DELETE":
            self.delete_durable(stream_name, name)
            return {"success": True}
        if verb == "PAUSE":
            stream.durables[name].pause(request["pause_until"])
        info: Json = stream.durables[name].info()
        return info

    def _last_message(self, stream: str, subjects: str) -> Json:
        found = self._stream(stream).last(subjects)
        if found is None:
            raise Refused(NO_MESSAGE)
        lines = "".join(f"{name}: {value}\r\n" for name, value in found.headers.items())
        headers = base64.b64encode(f"NATS/1.0\r\n{lines}\r\n".encode()).decode()
        data = base64.b64encode(found.data).decode()
        return {
            "message": {"subject": found.subject, "seq": found.sequence, "hdrs": headers, "data": data, "time": TIME}
        }

    def _stream(self, name: str) -> Stream:
        if name not in self.streams:
            raise Refused(STREAM_NOT_FOUND)
        return self.streams[name]

    # Publishing

    def _publish(self, subject: str, message: Wire) -> Json | None:
        owner = [name for name, stream in self.streams.items() if stream.takes(subject)]
        if not owner:
            return None  # "no responders" in the real server; here the request times out
        name, stream = owner[0], self.streams[owner[0]]
        batch = message.headers.get(BATCH_ID)
        if batch:
            return self._collect(name, stream, batch, Wire(message.data, {**message.headers, "": subject}))
        _require_end(stream, message)
        first = stream.remembers(message.headers.get(MESSAGE_ID))
        if first is not None:
            self.world.struck("repeat left out by JetStream")
            return {"stream": name, "seq": first, "duplicate": True}
        return {"stream": name, "seq": self._store(name, stream, subject, message)}

    def _collect(self, name: str, stream: Stream, batch: str, message: Wire) -> Json | None:
        """Takes one message of an atomic batch; with the last one, all are stored or none."""
        collected = self._batches.setdefault(batch, [])
        collected.append(message)
        if BATCH_COMMIT not in message.headers:
            return None
        del self._batches[batch]
        if [int(part.headers[BATCH_SEQUENCE]) for part in collected] != list(range(1, len(collected) + 1)):
            self.world.struck("batch abandoned incomplete")
            raise Refused(INCOMPLETE_BATCH)
        if any(stream.remembers(part.headers.get(MESSAGE_ID)) for part in collected) or _repeats(collected):
            self.world.struck("batch refused for a repeat")
            raise Refused(REPEAT_IN_BATCH)
        _require_end(stream, collected[0])
        for part in collected:
            sequence = self._store(name, stream, part.headers[""], part)
        return {"stream": name, "seq": sequence, "batch": batch, "count": len(collected)}

    def _store(self, name: str, stream: Stream, subject: str, message: Wire) -> int:
        headers = {key: value for key, value in message.headers.items() if key}
        stored = stream.append(subject, headers, message.data)
        self.world.note("nats", "stores %s %d: %s %s", name, stored.sequence, subject, headers.get(MESSAGE_ID))
        if self._on_append:
            self._on_append(name, stored)
        for durable in stream.durables.values():
            durable.deliver()
        return stored.sequence

    # Consuming

    def _pull(self, client: Any, subject: str, inbox: str, wanted: Json) -> None:
        stream_name, name = subject.split(".")[-2:]
        stream = self.streams.get(stream_name)
        durable = stream.durables.get(name) if stream else None
        if durable:
            expires = self.world.now + wanted["expires"] / SECOND
            heartbeat = wanted["idle_heartbeat"] / SECOND
            durable.request(Request(client, inbox, wanted["batch"], expires, heartbeat))

    def _acknowledge(self, subject: str, answer: bytes) -> None:
        _, _, stream_name, name, _, sequence, *_ = subject.split(".")
        stream = self.streams.get(stream_name)
        durable = stream.durables.get(name) if stream else None
        if durable:
            durable.acknowledge(int(sequence), answer)  # like the real one, whichever delivery it answers


def _require_end(stream: Stream, message: Wire) -> None:
    if error := stream.fence(message.headers):
        raise Refused(error)


def _repeats(batch: list[Wire]) -> bool:
    ids = [part.headers[MESSAGE_ID] for part in batch if MESSAGE_ID in part.headers]
    return len(set(ids)) < len(ids)
