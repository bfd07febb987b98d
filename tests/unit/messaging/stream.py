"""Stream ports that need no NATS server. They implement messaging.connection.Stream."""

import asyncio
from typing import Any

from nats.aio.client import Client


class NoStream:
    """A server that never answers."""

    async def client(self) -> Client:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


class OpenStream:
    """A connection that is open; the client is a fake."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def client(self) -> Client:
        client: Client = self._client
        return client
