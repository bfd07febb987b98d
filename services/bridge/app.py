"""The bridge put together; its HTTP side is only its health."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette

from messaging.connection import connect
from services.bridge.jetstream import EventsWriter
from services.bridge.kafka import KafkaRecords
from services.bridge.relay import Relay
from services.bridge.settings import Settings
from web.health import health_routes
from web.problems import exception_handlers
from web.server import background


class Bridge:
    """Connects and forwards, waiting for whatever is not up yet."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._relay: Relay | None = None

    async def run(self) -> None:
        """Ends after `stop`, or with an error that no retry can cure."""
        settings = self._settings
        client = await connect(settings.nats_url, settings.nats_token.get_secret_value(), "bridge")
        password = settings.kafka_password.get_secret_value()
        async with KafkaRecords(settings.kafka_bootstrap_servers, settings.kafka_username, password) as records:
            self._relay = Relay(EventsWriter(client), records, list(settings.topics))
            await self._relay.run()
        await client.close()

    def stop(self) -> None:
        if self._relay:
            self._relay.stop()

    async def fault(self) -> str | None:
        """Why nothing is forwarded, or None; a readiness check."""
        return self._relay.fault if self._relay else "waiting for NATS"


def create_app(settings: Settings) -> Starlette:
    """The bridge as an ASGI application; its resources open and close with its lifespan."""
    parts: dict[str, Any] = {}

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001 - Starlette's signature
        bridge = Bridge(settings)
        parts.update(relay=bridge.fault)
        async with background(bridge.run(), "relay", bridge.stop):
            yield

    return Starlette(routes=health_routes(parts), lifespan=lifespan, exception_handlers=exception_handlers(()))
