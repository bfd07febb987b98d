"""A pull subscription on a durable consumer: it requests messages ahead, keeps them alive, and naks the unused ones.

The client library's `fetch(n, timeout)` holds back the first message until n messages or the timeout have come, and
sends a request for each batch. Here the server always has an open request. A single event is delivered at once, and a
backlog comes in full batches.
"""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from messaging.errors import ConnectionGone, SubscriptionLost
from messaging.streams import SECOND, DurableConsumer, ensure_consumer

REQUEST_EXPIRES_SECONDS = 30
HEARTBEAT_SECONDS = 1.0
SILENCE_SECONDS = 3.0
"""After this time without a message, heartbeat or status the server has lost the open request."""

STATUS = "Status"
PENDING_MESSAGES = "Nats-Pending-Messages"
HEARTBEAT = "100"
REQUEST_OVER = ("404", "408")  # no messages, or expired: request again

ACK, NAK, IN_PROGRESS = b"+ACK", b"-NAK", b"+WPI"


class Delivery:
    """A delivered message that is not settled yet: ack or nak it."""

    __slots__ = ("_message", "_subscription")

    def __init__(self, message: Msg, subscription: "PullSubscription") -> None:
        self._message = message
        self._subscription = subscription

    @property
    def sequence(self) -> int:
        """The message's sequence in the stream, the same in each redelivery."""
        return int(self._message.metadata.sequence.stream)

    @property
    def subject(self) -> str:
        return str(self._message.subject)

    @property
    def headers(self) -> Mapping[str, str]:
        return self._message.headers or {}

    @property
    def payload(self) -> bytes:
        return bytes(self._message.data)

    async def ack(self) -> None:
        """Tells the server not to deliver it again. A lost ack does no harm: handlers are idempotent."""
        await self._subscription.settle(self, ACK)

    async def nak(self, delay: float = 0.0) -> None:
        """Tells the server to redeliver it, `delay` seconds from now at the earliest."""
        body = b" " + json.dumps({"delay": int(delay * SECOND)}).encode() if delay else b""
        await self._subscription.settle(self, NAK + body)

    @property
    def reply(self) -> str:
        return str(self._message.reply)


class PullSubscription:
    """An open pull on a durable consumer; used as an asynchronous context manager.

    Args:
        client: a NATS connection that reconnects by itself.
        consumer: created or reconciled on entry.
        window: messages requested ahead at most. Several batches, so the next batch is there when one is done.

    Raises on entry:
        nats.errors.Error: the server or the stream is not there (yet).
        ConnectionGone: the connection is closed for good.
    """

    def __init__(self, client: Client, consumer: DurableConsumer, window: int = 1024) -> None:
        self._client = client
        self._consumer = consumer
        self._window = window
        self._arrived: deque[Delivery] = deque()
        self._held: set[str] = set()
        self._requested = 0
        self._news = asyncio.Event()
        self._lost: str | None = None
        self._stopped = False
        self._last_heard = 0.0
        self._reconnects = 0
        self._subscription: Subscription | None = None
        self._keeping_alive: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._client.is_closed:
            raise ConnectionGone("the connection to NATS is closed")
        await ensure_consumer(self._client, self._consumer)
        self._reconnects = self._client.stats["reconnects"]
        self._last_heard = asyncio.get_running_loop().time()
        self._inbox = self._client.new_inbox()
        self._subscription = await self._client.subscribe(self._inbox, cb=self._receive)
        self._keeping_alive = asyncio.create_task(self._keep_alive())
        await self._top_up()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops pulling and naks the messages that were not taken, so another instance gets them at once."""
        if self._keeping_alive:
            self._keeping_alive.cancel()
        if self._subscription and not self._client.is_closed:
            await self._subscription.unsubscribe()
        if kind is None:
            while self._arrived:
                await self._arrived.popleft().nak()
        self._lost = "closed"

    async def take(self, limit: int) -> list[Delivery]:
        """Waits for a message, and returns it with those that are there too, `limit` at most; [] after `stop`.

        Raises:
            SubscriptionLost: open a new subscription. The server redelivers the messages in hand.
        """
        await self._top_up()
        while not self._arrived and not self._stopped:
            await self._wait_for_news()
        # No await from here on: a cancelled `take` must not lose messages.
        return [] if self._stopped else [self._arrived.popleft() for _ in range(min(limit, len(self._arrived)))]

    def stop(self) -> None:
        """Makes `take` return nothing, also one that waits already."""
        self._stopped = True
        self._news.set()

    async def settle(self, delivery: Delivery, outcome: bytes) -> None:
        """Sends an ack or nak, unless this subscription is lost.

        After a loss the stream may have been replaced. The old reply subject could then acknowledge a message that no
        consumer has seen. Without a connection nothing is sent either: the client would buffer it for the next one.
        """
        self._note_connection()
        if self._lost is None and self._client.is_connected and delivery.reply in self._held:
            self._held.remove(delivery.reply)
            await self._client.publish(delivery.reply, outcome)

    async def _wait_for_news(self) -> None:
        self._check()
        self._news.clear()
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self._news.wait()
        except TimeoutError:
            pass  # _check finds out why nothing came
        self._check()

    def _note_connection(self) -> None:
        if self._lost is None and self._client.stats["reconnects"] != self._reconnects:
            self._lost = "the connection was replaced"

    def _check(self) -> None:
        self._note_connection()
        if self._lost is None and asyncio.get_running_loop().time() - self._last_heard > SILENCE_SECONDS:
            self._lost = f"no sign from the server for {SILENCE_SECONDS} s"
        if self._lost is not None:
            raise SubscriptionLost(self._lost)

    async def _top_up(self) -> None:
        missing = self._window - self._requested - len(self._arrived)
        if missing < max(1, self._window // 2):
            return
        self._requested += missing
        ask = {
            "batch": missing,
            "expires": REQUEST_EXPIRES_SECONDS * SECOND,
            "idle_heartbeat": int(HEARTBEAT_SECONDS * SECOND),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._consumer.stream}.{self._consumer.durable_name}"
        await self._client.publish(subject, json.dumps(ask).encode(), reply=self._inbox)

    async def _receive(self, message: Msg) -> None:
        self._last_heard = asyncio.get_running_loop().time()
        headers = message.headers or {}
        status = headers.get(STATUS) if not message.data else None
        if status is None:
            delivery = Delivery(message, self)
            self._requested -= 1
            self._arrived.append(delivery)
            self._held.add(delivery.reply)
            self._news.set()
        elif status in REQUEST_OVER:
            self._requested -= int(headers.get(PENDING_MESSAGES, "0"))
            await self._top_up()
        elif status != HEARTBEAT:
            self._lost = f"status {status} {headers.get('Description', '')}".rstrip()
            self._news.set()

    async def _keep_alive(self) -> None:
        # For messages in a handler's hands and for those that wait here: while a database is down, the server must not
        # redeliver them to another instance after the ack wait.
        held_before: set[str] = set()
        while True:
            await asyncio.sleep(self._consumer.ack_wait / 3)
            for reply in held_before & self._held:
                if self._client.is_connected:
                    await self._client.publish(reply, IN_PROGRESS)
            held_before = set(self._held)
