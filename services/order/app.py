"""The order service as a process: opens the real ports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.types import ASGIApp

from messaging.connection import open_connection
from services.order.ports import Ports
from services.order.repository import Repository
from services.order.service import assemble
from services.order.settings import Settings
from storage.postgres import PostgresDatabase, open_pool
from storage.schema import migration_folders, migration_names
from web.application import Service
from web.application import create_app as create_service_app

MIGRATIONS = migration_names(migration_folders(Path(__file__).parent))
"""The service waits until all of them are applied; it applies none itself."""


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """The service over PostgreSQL and NATS; both may come up later."""
    async with (
        open_pool(settings.database_url.get_secret_value(), "order") as pool,
        open_connection(settings.nats_url, settings.nats_token.get_secret_value(), "order") as stream,
    ):
        yield assemble(Ports(PostgresDatabase(pool, MIGRATIONS), Repository(pool), stream), settings)


def create_app(settings: Settings) -> ASGIApp:
    """The ASGI application; its ports are opened and closed with its lifespan."""
    return create_service_app(lambda: open_service(settings))
