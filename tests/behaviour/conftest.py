"""Each part twice: the real one, and the simulated one that the simulation puts in its place.

The tests of this folder state what the simulation relies on. So it cannot drift from the engines unnoticed.
Simulated parts run on the ordinary loop here: their delays are a few milliseconds of real time.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from pymongo import MongoClient

from messaging.connection import connect
from services.bridge.kafka import KafkaRecords
from services.customer.repository import Repository as CustomerRepository
from services.history.views import Views
from services.order.repository import Repository as OrderRepository
from storage.postgres import open_pool
from tests.engines import TOKEN, KafkaTopics, NatsServer, migrated_database
from tests.simulation import kafka, mongo, nats_client, repositories
from tests.simulation.jetstream import Server
from tests.simulation.postgres import Database
from tests.simulation.process import Life, task_factory
from tests.simulation.world import World

SEED = 1
WINDOW_SECONDS = 120.0
TOPIC = "events.order"

Connect = Callable[[], Awaitable[Any]]


@pytest.fixture(params=["real", "simulated"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def world() -> World:
    return World(SEED)


@pytest.fixture
async def life(world: World) -> AsyncIterator[Life]:
    """A process for the simulated parts, which ends with the test."""
    loop = asyncio.get_running_loop()
    loop.set_task_factory(task_factory)
    life = Life("test", world)
    yield life
    life.end()
    loop.set_task_factory(None)


@pytest.fixture
def addresses(request: pytest.FixtureRequest, kind: str) -> Mapping[str, str]:
    """Where the real engines are; asked for by nobody else, so that the simulated parts start none."""
    environment: Mapping[str, str] = request.getfixturevalue("stack").environment("keeper") if kind == "real" else {}
    return environment


@dataclass(frozen=True)
class Nats:
    """A server of one's own."""

    connect: Connect
    restart: Callable[[], None]


@pytest.fixture
async def nats(kind: str, world: World, life: Life, tmp_path: Path) -> AsyncIterator[Nats]:
    if kind == "simulated":
        yield _simulated_nats(world, life)
        return
    server = NatsServer(tmp_path / "jetstream")
    server.start()
    clients = []

    async def connect_to_it() -> Any:
        clients.append(await connect(server.url, TOKEN, "test"))
        return clients[-1]

    def restart() -> None:
        server.kill()
        server.start()

    yield Nats(connect_to_it, restart)
    for client in clients:
        await client.close()
    server.stop()


def _simulated_nats(world: World, life: Life) -> Nats:
    server = Server(world, WINDOW_SECONDS)

    async def connect_to_it() -> Any:
        client = nats_client.Client(server, life)
        await client.connect()
        return client

    def restart() -> None:
        server.crash()
        server.start()

    return Nats(connect_to_it, restart)


@pytest.fixture
async def client(nats: Nats) -> Any:
    return await nats.connect()


@pytest.fixture
async def customers(kind: str, world: World, life: Life, addresses: Mapping[str, str]) -> AsyncIterator[Any]:
    """The customer service's repository over an empty database."""
    if kind == "simulated":
        yield repositories.CustomerRepository(Database("customer", world), life)
        return
    async with _pool(addresses, "customer") as pool:
        yield CustomerRepository(pool)


@pytest.fixture
async def orders(kind: str, world: World, life: Life, addresses: Mapping[str, str]) -> AsyncIterator[Any]:
    """The order service's."""
    if kind == "simulated":
        yield repositories.OrderRepository(Database("order", world), life)
        return
    async with _pool(addresses, "order") as pool:
        yield OrderRepository(pool)


@asynccontextmanager
async def _pool(addresses: Mapping[str, str], service: str) -> AsyncIterator[Any]:
    async with migrated_database(addresses["POSTGRES_URL"], service) as url, open_pool(url, "test") as pool:
        yield pool


@dataclass(frozen=True)
class View:
    """The view, and how to wipe it."""

    views: Any
    wipe: Callable[[], None]


@pytest.fixture
def view(kind: str, world: World, life: Life, addresses: Mapping[str, str]) -> Iterator[View]:
    if kind == "simulated":
        server = mongo.Mongo(world)
        yield View(mongo.Views(server, life), server.wipe)
        return
    admin, name = addresses["MONGODB_ADMIN_URL"], f"test_{secrets.token_hex(6)}"
    with ExitStack() as opened:
        database = opened.enter_context(MongoClient[dict[str, Any]](admin))
        opened.callback(database.drop_database, name)
        views = Views(urlunsplit(urlsplit(admin)._replace(path=f"/{name}")))
        opened.callback(views.close)
        yield View(views, lambda: database.drop_database(name))


@dataclass(frozen=True)
class Topic:
    """A topic of two partitions, read and written, and made anew."""

    name: str
    records: Any
    write: Callable[[int, str], None]
    make_anew: Callable[[], None]


@pytest.fixture
async def topic(kind: str, world: World, life: Life, addresses: Mapping[str, str]) -> AsyncIterator[Topic]:
    if kind == "simulated":
        yield _simulated_topic(world, life)
        return
    topics = KafkaTopics(addresses)
    name = topics.create(partitions=2)

    def make_anew() -> None:
        topics.delete(name)
        topics.create(partitions=2, name=name)

    names = ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_USERNAME", "KAFKA_PASSWORD")
    async with KafkaRecords(*(addresses[name] for name in names)) as records:
        yield Topic(name, records, lambda number, key: topics.write(name, [(number, key, key.encode())]), make_anew)
    topics.delete_all()


def _simulated_topic(world: World, life: Life) -> Topic:
    broker = kafka.Broker(world, partitions=2)

    def write(partition: int, key: str) -> None:
        broker.topics[TOPIC].partitions[partition].append((key.encode(), [("id", key.encode())]))
        broker.news.fire()

    return Topic(TOPIC, kafka.KafkaRecords(broker, life), write, broker.wipe)
