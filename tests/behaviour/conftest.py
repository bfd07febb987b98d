"""Each part twice: the real one, and the simulated one that the simulation uses in its place.

The tests of this folder state what the services rely on, so that a simulated part cannot differ from the real one
unnoticed. Simulated parts run on the ordinary loop here: their delays are a few milliseconds of real time.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from asyncpg import Pool
from nats.aio.client import Client
from pymongo import MongoClient

from messaging.connection import connect
from services.bridge.kafka import KafkaRecords
from services.customer import repository as customer_repository
from services.customer.ports import CustomerRepository
from services.history.views import Views
from services.order import repository as order_repository
from services.order.ports import OrderRepository
from storage.postgres import open_pool
from tests.behaviour.parts import Nats, Topic, View
from tests.engines import TOKEN, KafkaTopics, NatsServer, login_from, migrated_database
from tests.simulation import kafka, mongo, nats_client, repositories
from tests.simulation.jetstream import Server
from tests.simulation.ports import connected
from tests.simulation.postgres import Database
from tests.simulation.process import Life, task_factory
from tests.simulation.world import World

SEED = 1
WINDOW_SECONDS = 120.0
TOPIC = "events.order"


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
    """The addresses of the real engines; empty for a simulated part, which starts none."""
    environment: Mapping[str, str] = request.getfixturevalue("stack").environment("keeper") if kind == "real" else {}
    return environment


@pytest.fixture
async def nats(kind: str, world: World, life: Life, tmp_path: Path) -> AsyncIterator[Nats]:
    if kind == "simulated":
        yield _simulated_nats(world, life)
        return
    server = NatsServer(tmp_path / "jetstream")
    server.start()
    clients: list[Client] = []

    async def connect_client() -> Client:
        clients.append(await connect(server.url, TOKEN, "test"))
        return clients[-1]

    def restart() -> None:
        server.kill()
        server.start()

    yield Nats(connect_client, restart)
    for client in clients:
        await client.close()
    server.stop()


def _simulated_nats(world: World, life: Life) -> Nats:
    server = Server(world, WINDOW_SECONDS)

    async def connect_client() -> Client:
        return await connected(nats_client.Client(server, life))

    def restart() -> None:
        server.crash()
        server.start()

    return Nats(connect_client, restart)


@pytest.fixture
async def client(nats: Nats) -> Client:
    return await nats.connect()


@pytest.fixture
async def customers(
    kind: str, world: World, life: Life, addresses: Mapping[str, str]
) -> AsyncIterator[CustomerRepository]:
    """The customer service's repository over an empty database."""
    if kind == "simulated":
        yield repositories.CustomerRepository(Database("customer", world), life)
        return
    async with _pool(addresses, "customer") as pool:
        yield customer_repository.Repository(pool)


@pytest.fixture
async def orders(kind: str, world: World, life: Life, addresses: Mapping[str, str]) -> AsyncIterator[OrderRepository]:
    """The order service's repository over an empty database."""
    if kind == "simulated":
        yield repositories.OrderRepository(Database("order", world), life)
        return
    async with _pool(addresses, "order") as pool:
        yield order_repository.Repository(pool)


@asynccontextmanager
async def _pool(addresses: Mapping[str, str], service: str) -> AsyncIterator[Pool]:
    async with migrated_database(addresses["POSTGRES_URL"], service) as url, open_pool(url, "test") as pool:
        yield pool


@pytest.fixture
def view(kind: str, world: World, life: Life, addresses: Mapping[str, str]) -> Iterator[View]:
    if kind == "simulated":
        server = mongo.Mongo(world)
        simulated = mongo.Views(server, life)
        yield View(simulated, simulated.generation, server.wipe)
        return
    admin, name = addresses["MONGODB_ADMIN_URL"], f"test_{secrets.token_hex(6)}"
    with ExitStack() as opened:
        database = opened.enter_context(MongoClient[dict[str, Any]](admin))
        opened.callback(database.drop_database, name)
        views = Views(urlunsplit(urlsplit(admin)._replace(path=f"/{name}")))
        opened.callback(views.close)
        yield View(views, views.generation, lambda: database.drop_database(name))


@pytest.fixture
async def topic(kind: str, world: World, life: Life, addresses: Mapping[str, str]) -> AsyncIterator[Topic]:
    if kind == "simulated":
        yield _simulated_topic(world, life)
        return
    topics = KafkaTopics(addresses)
    name = topics.create(partitions=2)

    def recreate() -> None:
        topics.delete(name)
        topics.create(partitions=2, name=name)

    async with KafkaRecords(login_from(addresses)) as records:
        yield Topic(name, records, lambda number, key: topics.write(name, [(number, key, key.encode())]), recreate)
    topics.delete_all()


def _simulated_topic(world: World, life: Life) -> Topic:
    broker = kafka.Broker(world, partitions=2)

    def write(partition: int, key: str) -> None:
        broker.topics[TOPIC].partitions[partition].append((key.encode(), [("id", key.encode())]))
        broker.news.fire()

    return Topic(TOPIC, kafka.KafkaRecords(broker, life), write, broker.wipe)
