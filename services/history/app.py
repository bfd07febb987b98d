"""The history service as a process: opens the real ports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from starlette.types import ASGIApp

from messaging.connection import open_connection
from services.history.ports import Ports
from services.history.service import assemble
from services.history.settings import Settings
from services.history.views import Views
from web.application import Service
from web.application import create_app as create_service_app


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """The service over MongoDB and NATS; both may come up later."""
    async with open_connection(settings.nats_url, settings.nats_token.get_secret_value(), "history") as stream:
        with closing(Views(settings.mongodb_url.get_secret_value())) as views:
            yield assemble(Ports(views, stream), settings)


def create_app(settings: Settings) -> ASGIApp:
    """The ASGI application; its ports are opened and closed with its lifespan."""
    return create_service_app(lambda: open_service(settings))
