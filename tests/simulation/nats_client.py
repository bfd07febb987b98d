"""A connection to the simulated server: the part of nats.aio.client.Client that messaging/ and the bridge use.

Like the real one it reconnects by itself. It keeps what is published meanwhile, and sends it after that.
Messages that are on their way when the connection breaks are lost, in both directions.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import nats.errors
from nats.aio.msg import Msg
from nats.js.client import JetStreamContext

from messaging.connection import RECONNECT_SECONDS
from tests.simulation.jetstream import UNSUBSCRIBE, Server
from tests.simulation.process import Life
from tests.simulation.stream import Stored, Wire

Callback = Callable[[Msg], Awaitable[None]]
Outgoing = tuple[str, str, Wire]

TICK_SECONDS = 1e-6
"""Between two messages in one direction, so that they arrive in the order sent."""


class Subscription:
    """One subscription, whose messages are handled one after the other."""

    def __init__(self, client: "Client", subject: str, callback: Callback) -> None:
        self._client = client
        self._subject = subject
        self._messages: asyncio.Queue[Msg] = asyncio.Queue()
        self._handling = asyncio.create_task(self._handle(callback))

    def put(self, message: Msg) -> None:
        self._messages.put_nowait(message)

    async def _handle(self, callback: Callback) -> None:
        while True:
            await callback(await self._messages.get())

    async def unsubscribe(self) -> None:
        self._handling.cancel()
        self._client.subscriptions.pop(self._subject, None)
        await self._client.publish(UNSUBSCRIBE, reply=self._subject)


class Client:
    """One process's connection."""

    is_closed = False

    def __init__(self, server: Server, life: Life) -> None:
        self.subscriptions: dict[str, Subscription] = {}
        self.stats = {"reconnects": 0}
        self._server = server
        self.process = life.name
        self._life = life
        self._world = life.world
        self._answers: dict[str, asyncio.Future[Msg]] = {}
        self._inboxes = 0
        self._connection = 0
        self.is_connected = False
        self._outgoing: list[Outgoing] = []
        self._flushing = False
        self._arrives = {"in": 0.0, "out": 0.0}
        life.on_end(self._end)

    async def connect(self) -> None:
        """Returns when the server has accepted the connection."""
        await self._life.io()
        while not self._server.connect(self):
            await self._life.wait(RECONNECT_SECONDS)
        self.is_connected = True

    def cut(self) -> None:
        """Breaks the connection, as the server or the network does."""
        self._server.disconnect(self)
        self._connection += 1
        if self.is_connected:
            self.is_connected = False
            self._life.run(self._reconnect())

    async def _reconnect(self) -> None:
        await self._life.wait(RECONNECT_SECONDS)
        while not self._server.connect(self):
            await self._life.wait(RECONNECT_SECONDS)
        self.is_connected = True
        self.stats["reconnects"] += 1
        self._world.note(self._life.name, "is connected to NATS again")
        self._flush_soon()

    def _end(self) -> None:
        # Messages that were sent still arrive, and the end of the connection after them.
        self.is_connected = False
        self._at("out", self._server.disconnect, self)

    # To the server

    async def publish(
        self, subject: str, payload: bytes = b"", reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        self._life.check()
        self._outgoing.append((subject, reply, Wire(payload, dict(headers or {}))))
        self._flush_soon()

    def _flush_soon(self) -> None:
        if self.is_connected and not self._flushing and self._outgoing:
            self._flushing = True
            self._at("flush", self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if not self.is_connected:
            return
        outgoing, self._outgoing = self._outgoing, []
        self._at("out", self._reach_server, self._connection, outgoing)

    def _at(self, direction: str, action: Callable[..., None], *arguments: Any) -> None:
        now = self._world.now
        arrives = max(now + self._world.delay(), self._arrives.get(direction, 0.0) + TICK_SECONDS)
        self._arrives[direction] = arrives
        asyncio.get_running_loop().call_at(arrives, action, *arguments)

    def _reach_server(self, connection: int, outgoing: list[Outgoing]) -> None:
        for subject, reply, message in outgoing:
            if connection == self._connection:
                self._server.receive(self, subject, reply, message)

    # From the server

    def send(self, subject: str, message: Wire) -> None:
        """The server sends an answer or a status."""
        self._at("in", self._arrive, self._connection, _message(self, subject, "", message))

    def deliver(self, inbox: str, stored: Stored, reply: str) -> None:
        """The server delivers a message."""
        message = _message(self, stored.subject, reply, stored)
        self._at("in", self._arrive, self._connection, message, inbox)

    def _arrive(self, connection: int, message: Msg, inbox: str | None = None) -> None:
        if connection != self._connection or self._life.ended:
            return
        subject = inbox or message.subject
        if subject in self._answers:
            answer = self._answers.pop(subject)
            if not answer.done():
                answer.set_result(message)
        elif subject in self.subscriptions:
            self.subscriptions[subject].put(message)

    # The library's other calls

    async def drain(self) -> None:
        """Sends what is still buffered, and closes the connection."""
        if not self._life.ended:
            self._flush()
            self._end()

    def new_inbox(self) -> str:
        self._inboxes += 1
        return f"_INBOX.{self._life.name}.{self._inboxes}"

    async def subscribe(self, subject: str, cb: Callback) -> Subscription:
        self._life.check()
        self.subscriptions[subject] = Subscription(self, subject, cb)
        return self.subscriptions[subject]

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,  # noqa: ASYNC109 - the library's signature
        headers: dict[str, str] | None = None,
    ) -> Msg:
        inbox = self.new_inbox()
        answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._answers[inbox] = answer
        try:
            await self.publish(subject, payload, reply=inbox, headers=headers)
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            raise nats.errors.TimeoutError from None
        finally:
            self._answers.pop(inbox, None)

    def jetstream(self) -> JetStreamContext:
        """The library's own JetStream context, over this connection."""
        return JetStreamContext(self)  # type: ignore[arg-type]


def _message(client: Any, subject: str, reply: str, content: Wire | Stored) -> Msg:
    return Msg(client, subject, reply, content.data, content.headers)
