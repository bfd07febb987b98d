"""The bridge as a process: opens the real ports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp

from messaging.connection import open_connection
from services.bridge.kafka import KafkaRecords
from services.bridge.kafka_login import kafka_login
from services.bridge.ports import Ports
from services.bridge.service import assemble
from services.bridge.settings import Settings
from web.application import Service
from web.application import create_app as create_service_app


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """The bridge over Kafka and NATS; both may come up later."""
    login = kafka_login(
        settings.kafka_bootstrap_servers, settings.kafka_username, settings.kafka_password.get_secret_value()
    )
    async with (
        open_connection(settings.nats_url, settings.nats_token.get_secret_value(), "bridge") as stream,
        KafkaRecords(login) as records,
    ):
        yield assemble(Ports(records, stream), settings)


def create_app(settings: Settings) -> ASGIApp:
    """The ASGI application; its ports are opened and closed with its lifespan."""
    return create_service_app(lambda: open_service(settings))
