"""The connection to NATS: opened in the background, and reconnected for as long as the process lives."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import nats.errors
from nats.aio.client import Client

log = logging.getLogger(__name__)

RECONNECT_SECONDS = 0.5
PING_SECONDS = 5

FLUSH_SECONDS = 2.0
CLOSE_SECONDS = 2.0
"""Together with the workers' grace less than the time after which a supervisor kills the process."""


class Stream(Protocol):
    """A connection to JetStream that may not be open yet."""

    async def client(self) -> Client:
        """Waits until the connection is open for the first time; at once after that, connected or reconnecting."""


async def connect(url: str, token: str, name: str) -> Client:
    """Connects, and waits as long as the server is not there or refuses the token; each attempt is logged.

    After that the client reconnects by itself, without end.

    Args:
        name: shown by the server for this connection.
    """

    async def on_error(error: Exception) -> None:
        log.warning("NATS: %s: %s", type(error).__name__, error)

    async def on_disconnect() -> None:
        if client.is_reconnecting:  # not when this process closes the connection
            log.warning("NATS is gone; reconnecting")

    async def on_reconnect() -> None:
        log.info("NATS is back")

    client = Client()
    await client.connect(
        url,
        token=token,
        name=name,
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        reconnect_time_wait=RECONNECT_SECONDS,  # type: ignore[arg-type]  # the library takes fractions too
        ping_interval=PING_SECONDS,
        max_outstanding_pings=2,
        error_cb=on_error,
        disconnected_cb=on_disconnect,
        reconnected_cb=on_reconnect,
    )
    return client


class Connection:
    """A connection that is being opened by a task. Implements Stream."""

    def __init__(self, opening: "asyncio.Task[Client]") -> None:
        self._opening = opening

    async def client(self) -> Client:
        # Shielded: whoever stops waiting must not stop the opening for the others.
        return await asyncio.shield(self._opening)


@asynccontextmanager
async def open_connection(url: str, token: str, name: str) -> AsyncIterator[Connection]:
    """Opens a connection in the background; on the way out sends what is still buffered and closes it."""
    opening = asyncio.create_task(connect(url, token, name), name="connection to NATS")
    try:
        yield Connection(opening)
    finally:
        if opening.done() and not opening.cancelled() and opening.exception() is None:
            await close(opening.result())
        else:
            opening.cancel()
            await asyncio.wait({opening})


async def close(client: Client) -> None:
    """Sends what is still buffered, if the server takes it in time, and closes the connection.

    The client's own `drain` is not used: it raises while the server is away, and takes 20 s if the server hangs.
    """
    try:
        if client.is_connected:
            await client.flush(FLUSH_SECONDS)  # type: ignore[arg-type]  # the library takes fractions too
    except nats.errors.Error as error:
        log.warning("NATS does not answer; acks may be lost, and their messages are redelivered: %s", error)
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.close()
    except TimeoutError:
        log.warning("the connection to NATS does not close; it ends with the process")
