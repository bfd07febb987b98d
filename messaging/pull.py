"""The pull side of a durable consumer: messages asked for ahead of need, kept alive, given back.

The client library's `fetch(n, timeout)` holds the first message back until n have come or the
timeout has passed, and asks anew for every batch. Here the server always has an open request, so a
lone event is handed on the moment it arrives, and a backlog is taken in full batches.
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
"""No message, heartbeat or status for so long while a request is open: the server has forgotten it."""

STATUS = "Status"
PENDING_MESSAGES = "Nats-Pending-Messages"
HEARTBEAT = "100"
REQUEST_OVER = ("404", "408")  # nothing there, or expired: ask again

ACK, NAK, IN_PROGRESS = b"+ACK", b"-NAK", b"+WPI"


class Delivery:
    """One message in hand: it stays ours until it is acked or given back."""

    __slots__ = ("_held_by", "_message")

    def __init__(self, message: Msg, held_by: "PullSubscription") -> None:
        self._message = message
        self._held_by = held_by

    @property
    def sequence(self) -> int:
        """The message's sequence in the stream: the same in every redelivery."""
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
        """Done: never deliver it again. Lost acks are harmless, the handlers absorb a redelivery."""
        await self._held_by.answer(self, ACK)

    async def nak(self, delay: float = 0.0) -> None:
        """Not done: deliver it again, `delay` seconds from now at the earliest."""
        body = b" " + json.dumps({"delay": int(delay * SECOND)}).encode() if delay else b""
        await self._held_by.answer(self, NAK + body)

    @property
    def reply(self) -> str:
        return str(self._message.reply)


class PullSubscription:
    """An open pull on a durable consumer; used as an asynchronous context manager.

    Args:
        client: a NATS connection that reconnects by itself.
        consumer: created or reconciled on entry.
        window: most messages asked for ahead; some batches, so that the next one is here when one is done.

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
        """Stops pulling and gives back what was not taken, so that another instance has it at once."""
        if self._keeping_alive:
            self._keeping_alive.cancel()
        if self._subscription and not self._client.is_closed:
            await self._subscription.unsubscribe()
        if kind is None:
            while self._arrived:
                await self._arrived.popleft().nak()
        self._lost = "closed"

    async def take(self, limit: int) -> list[Delivery]:
        """Waits for a message and returns it with those that came along, `limit` at most; [] once stopped.

        Raises:
            SubscriptionLost: open a new subscription; what is in hand will be delivered again.
        """
        await self._top_up()
        while not self._arrived and not self._stopped:
            await self._wait_for_news()
        # No await from here on: a cancelled take must not have taken anything.
        return [] if self._stopped else [self._arrived.popleft() for _ in range(min(limit, len(self._arrived)))]

    def stop(self) -> None:
        """Lets a waiting or later `take` return nothing."""
        self._stopped = True
        self._news.set()

    async def answer(self, delivery: Delivery, verdict: bytes) -> None:
        """Sends the verdict on a delivery, unless this subscription was lost meanwhile.

        After a loss the stream may be another one, where the old reply subject would
        acknowledge a message that nobody has seen. (Without a connection, the client would keep
        the verdict and send it over the next one.)
        """
        self._note_connection()
        if self._lost is None and self._client.is_connected and delivery.reply in self._held:
            self._held.remove(delivery.reply)
            await self._client.publish(delivery.reply, verdict)

    async def _wait_for_news(self) -> None:
        self._check()
        self._news.clear()
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self._news.wait()
        except TimeoutError:
            pass  # the check looks why it is so quiet
        self._check()

    def _note_connection(self) -> None:
        if self._lost is None and self._client.stats["reconnects"] != self._reconnects:
            self._lost = "the connection was replaced"

    def _check(self) -> None:
        self._note_connection()
        if self._lost is None and asyncio.get_running_loop().time() - self._last_heard > SILENCE_SECONDS:
            self._lost = f"the server was silent for {SILENCE_SECONDS} s"
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
        # For what is in a handler's hands and for what still waits here: while a database is down,
        # neither may run into the ack wait and be delivered to somebody else.
        held_before: set[str] = set()
        while True:
            await asyncio.sleep(self._consumer.ack_wait / 3)
            for reply in held_before & self._held:
                if self._client.is_connected:
                    await self._client.publish(reply, IN_PROGRESS)
            held_before = set(self._held)
