"""The ports of one life of a process: what its service.py needs from outside, over the simulated engines."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from messaging.connection import Connection
from tests.simulation import nats_client
from tests.simulation.jetstream import Server
from tests.simulation.postgres import Database
from tests.simulation.process import Life

if TYPE_CHECKING:
    from nats.aio.client import Client


@asynccontextmanager
async def open_connection(server: Server, life: Life) -> AsyncIterator[Connection]:
    """As messaging.connection.open_connection."""
    client = nats_client.Client(server, life)
    opening = life.run(connected(client))
    try:
        yield Connection(opening)
    finally:
        opening.cancel()
        await client.drain()


async def connected(client: nats_client.Client) -> "Client":
    """Connects, and returns the client as what it stands for. It has the methods that messaging/ and the bridge use."""
    await client.connect()
    return cast("Client", client)


class DatabasePort:
    """A database whose schema is there. Implements storage.postgres.Database."""

    def __init__(self, database: Database, life: Life) -> None:
        self._database = database
        self._life = life
        self.missing_schema: str | None = "the schema is not known yet"

    async def wait_for_schema(self) -> None:
        await self._database.read(self._life, lambda: None)
        self.missing_schema = None

    async def ping(self) -> str | None:
        await self._database.read(self._life, lambda: None)
        return self.missing_schema

    async def delete_expired_events(self, retention: timedelta) -> int:  # noqa: ARG002 - the protocol's signature
        """Deletes nothing: a run is shorter than any retention."""
        return await self._database.read(self._life, lambda: 0)

    async def delete_expired_keys(self, retention: timedelta) -> int:  # noqa: ARG002 - the protocol's signature
        """Deletes nothing, as above."""
        return await self._database.read(self._life, lambda: 0)
