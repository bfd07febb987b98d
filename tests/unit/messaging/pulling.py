"""A NATS connection for tests of PullSubscription: what the server sends is up to the test. On a virtual clock."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from messaging.pull import HEARTBEAT_SECONDS, PullSubscription
from messaging.streams import DurableConsumer
from tests.simulation.clock import VirtualLoop, pass_time

CONSUMER = DurableConsumer("orders", ("events.order.*.*",), ack_wait=6.0)


@dataclass
class Message:
    """A message of the stream, or a status if it has no data."""

    data: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    reply: str = "$JS.ACK.1"
    subject: str = "events.order.0.OrderCreated"
    metadata: Any = field(default_factory=lambda: SimpleNamespace(sequence=SimpleNamespace(stream=1)))


class FakeClient:
    """A connection; what the server would send is handed to `deliver`.

    Attributes:
        requested: when, and how many messages.
    """

    is_closed = False
    is_connected = True

    def __init__(self) -> None:
        self.stats = {"reconnects": 0}
        self.requested: list[tuple[float, int]] = []
        self.published: list[tuple[str, bytes]] = []
        self.unsubscribed = 0
        self.deliver: Callable[[Any], Awaitable[None]]

    def new_inbox(self) -> str:
        return "_INBOX.1"

    async def subscribe(self, inbox: str, cb: Callable[[Any], Awaitable[None]]) -> Any:  # noqa: ARG002
        self.deliver = cb
        return SimpleNamespace(unsubscribe=self._unsubscribe)

    async def _unsubscribe(self) -> None:
        self.unsubscribed += 1

    async def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        if reply:
            self.requested.append((asyncio.get_running_loop().time(), json.loads(payload)["batch"]))
        else:
            self.published.append((subject, payload))

    async def keep_talking(self, seconds: float) -> None:
        """Lets time pass in which the server sends its heartbeats."""
        for _ in range(int(seconds / HEARTBEAT_SECONDS)):
            await pass_time(HEARTBEAT_SECONDS)
            await self.deliver(Message(headers={"Status": "100"}))


Steps = Callable[[FakeClient, PullSubscription], Coroutine[Any, Any, None]]


def pull(steps: Steps, window: int = 1024) -> None:
    """Does these steps with an open subscription."""

    async def run() -> None:
        client: Any = FakeClient()
        async with PullSubscription(client, CONSUMER, window=window) as subscription:
            await steps(client, subscription)

    VirtualLoop().run(run())
