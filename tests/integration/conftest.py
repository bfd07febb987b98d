"""The real engines, with a database, topics and a NATS server for each test."""

import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from nats.aio.client import Client
from pymongo import MongoClient

from infra.native import Stack
from messaging.connection import Connection, connect, open_connection
from services.bridge.kafka_login import KafkaConfig
from services.history.views import Generation, Views
from storage.postgres import open_pool
from tests.engines import TOKEN, KafkaTopics, NatsServer, fresh_database, login_from


@pytest.fixture(scope="session")
def addresses(stack: Stack) -> Mapping[str, str]:
    """Where the engines are and how an administrator gets in."""
    return stack.environment("keeper")


@pytest.fixture
async def database(addresses: Mapping[str, str]) -> AsyncIterator[str]:
    async with fresh_database(addresses["POSTGRES_URL"]) as url:
        yield url


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    """As the services open theirs."""
    async with open_pool(database, "test") as pool:
        # Opened before the test, or work that is meant to run at once would wait while each connection is opened.
        for connection in [await pool.acquire() for _ in range(8)]:
            await pool.release(connection)
        yield pool


@pytest.fixture
def mongodb_url(addresses: Mapping[str, str]) -> Iterator[str]:
    """An empty MongoDB database."""
    name = f"test_{secrets.token_hex(6)}"
    admin = addresses["MONGODB_ADMIN_URL"]
    yield urlunsplit(urlsplit(admin)._replace(path=f"/{name}"))
    with MongoClient[dict[str, object]](admin) as client:
        client.drop_database(name)


@pytest.fixture
async def views(mongodb_url: str) -> AsyncIterator[Views]:
    views = Views(mongodb_url)
    yield views
    views.close()


@pytest.fixture
async def generation(views: Views) -> Generation:
    """A generation of the view that is ready to be filled."""
    generation = views.generation("a")
    await generation.prepare()
    return generation


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "jetstream")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    """As the services connect."""
    client = await connect(nats_server.url, TOKEN, "test")
    yield client
    await client.close()


@pytest.fixture
async def stream(nats_server: NatsServer) -> AsyncIterator[Connection]:
    """The port that a service is assembled with."""
    async with open_connection(nats_server.url, TOKEN, "test") as stream:
        # Open before the test: a short test would end in the middle of the attempt, which leaves its socket open.
        await stream.client()
        yield stream


@pytest.fixture
def topics(addresses: Mapping[str, str]) -> Iterator[KafkaTopics]:
    topics = KafkaTopics(addresses)
    yield topics
    topics.delete_all()


@pytest.fixture
def kafka(addresses: Mapping[str, str]) -> KafkaConfig:
    """How the bridge logs in to Kafka."""
    return login_from(addresses)
