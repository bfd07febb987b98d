"""The connection to NATS: it comes back by itself, for as long as the process lives."""

import logging

from nats.aio.client import Client

log = logging.getLogger(__name__)

RECONNECT_SECONDS = 0.5
PING_SECONDS = 5


async def connect(url: str, token: str, name: str) -> Client:
    """Connects once; after that, the client reconnects for ever.

    Raises:
        OSError, nats.errors.Error: the server is not there (the caller retries).
    """

    async def on_error(error: Exception) -> None:
        log.warning("NATS: %s: %s", type(error).__name__, error)

    async def on_disconnect() -> None:
        if client.is_reconnecting:  # not when we close it ourselves
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
        reconnect_time_wait=RECONNECT_SECONDS,  # type: ignore[arg-type]  # any number of seconds will do
        ping_interval=PING_SECONDS,
        max_outstanding_pings=2,
        error_cb=on_error,
        disconnected_cb=on_disconnect,
        reconnected_cb=on_reconnect,
    )
    return client
