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
from messaging.connection import connect
from services.history.views import Generation, Views
from storage.postgres import open_pool
from tests.engines import TOKEN, KafkaTopics, NatsServer, fresh_database


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
        # Open before the test, or what is meant to run at once would run while one connects after the other.
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
    """One that could be live."""
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
def topics(addresses: Mapping[str, str]) -> Iterator[KafkaTopics]:
    topics = KafkaTopics(addresses)
    yield topics
    topics.delete_all()
