"""An upgrade under load, from the last version without migrations: both versions run beside each other for a while.

The old version creates its tables itself. Then the migrations are applied, then the new version starts beside the old
one, then a further migration expands a table, then the old version stops. Clients place, repeat and cancel orders all
the time.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import pytest
from pymongo import MongoClient

from infra.native import Stack
from infra.provision.schema import folders_of
from messaging.connection import connect
from messaging.streams import EVENTS, ensure_stream
from operations.audit import audit
from operations.snapshot import Snapshot
from operations.sources import Sources
from services.bridge.kafka import KafkaRecords
from services.history.views import Views
from storage.migrate import apply
from storage.postgres import open_pool
from storage.schema import migration_names
from tests.engines import TOKEN, NatsServer, fresh_database
from tests.eventually import eventually, eventually_async
from tests.processes import CHECKOUT, ServiceProcess
from tests.upgrade.carrier import Carrier, NoKafka
from tests.upgrade.checkouts import checkout_of
from tests.upgrade.load import Load

OLD = "145242c"
"""The last version whose services create their tables when they start."""

SERVICES = ("customer", "order", "history")
EXPANSION = Path(__file__).with_name("migrations")

ANSWERS = 150
"""How many each instance gives before the next step of the upgrade."""

SEED = 1
CONVERGED_WITHIN_SECONDS = 120.0


@dataclass(frozen=True)
class Site:
    """Where the services of this test run, and what they share."""

    urls: Mapping[str, str]
    """Of the databases, by service."""
    nats_url: str
    logs: Path
    opened: ExitStack

    def start(self, checkout: Path) -> dict[str, ServiceProcess]:
        """One instance of each service; returns when all are ready."""
        started = {}
        for service in SERVICES:
            database = {"MONGODB_URL" if service == "history" else "DATABASE_URL": self.urls[service]}
            environment = {**database, "NATS_URL": self.nats_url, "NATS_TOKEN": TOKEN}
            log = self.logs / f"{service}-{checkout.name}.log"
            started[service] = process = ServiceProcess(service, environment, log, checkout)
            self.opened.callback(process.stop)
        for process in started.values():
            eventually(process.require_ready, within=60)
        return started


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "jetstream")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def site(stack: Stack, nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Site]:
    """Empty databases and an empty stream; the processes are stopped before the databases are dropped."""
    admin = stack.environment("keeper")
    mongodb, name = admin["MONGODB_ADMIN_URL"], f"test_{secrets.token_hex(6)}"
    with ExitStack() as engines:
        mongo = engines.enter_context(MongoClient[dict[str, Any]](mongodb))
        engines.callback(mongo.drop_database, name)
        async with fresh_database(admin["POSTGRES_URL"]) as customers, fresh_database(admin["POSTGRES_URL"]) as orders:
            view = urlunsplit(urlsplit(mongodb)._replace(path=f"/{name}"))
            urls = {"customer": customers, "order": orders, "history": view}
            with ExitStack() as processes:
                yield Site(urls, nats_server.url, tmp_path, processes)


@asynccontextmanager
async def _sources(site: Site) -> AsyncIterator[Sources]:
    """What the audit reads, with a carrier from the outboxes to the stream."""
    client = await connect(site.nats_url, TOKEN, "upgrade test")
    await ensure_stream(client, EVENTS)
    views = Views(site.urls["history"])
    async with open_pool(site.urls["customer"], "test") as customers, open_pool(site.urls["order"], "test") as orders:
        yield Sources(customers, orders, cast("KafkaRecords", NoKafka()), client, views)
    views.close()
    await client.close()


@dataclass(frozen=True)
class Upgrade:
    """The steps, each under load."""

    site: Site
    load: Load
    loading: "asyncio.Task[None]"
    carrying: "asyncio.Task[None]"

    async def start(self, checkout: Path) -> dict[str, ServiceProcess]:
        """Starts a version beside the one that runs, and lets both serve for a while."""
        started = await asyncio.to_thread(self.site.start, checkout)
        for service, instances in self.load.instances.items():
            instances.append(started[service])
        await self.serve_for_a_while()
        return started

    async def stop(self, version: Mapping[str, ServiceProcess]) -> None:
        """Stops the processes of a version. Clients notice by themselves."""
        await asyncio.gather(*(asyncio.to_thread(process.stop) for process in version.values()))
        for service, instances in self.load.instances.items():
            instances.remove(version[service])
        await self.serve_for_a_while()

    async def migrate(self, service: str, *further: Path) -> list[str]:
        """Applies migrations while requests are answered."""
        before = self.load.answered.total()
        applied = await apply(self.site.urls[service], [*folders_of(service), *further])
        assert self.load.answered.total() > before
        return applied

    async def serve_for_a_while(self) -> None:
        """Returns when each running instance has answered some more requests."""
        running = [instance for instances in self.load.instances.values() for instance in instances]
        goals = {
            instance: self.load.answered[instance] + (ANSWERS if instance.service == "order" else 2)
            for instance in running
        }
        await eventually_async(partial(self._require_answers, goals), within=120)

    async def _require_answers(self, goals: Mapping[ServiceProcess, int]) -> None:
        for task in (self.loading, self.carrying):
            if task.done():
                raise RuntimeError("the load or the carrier has ended") from task.exception()
        short = {instance.service: goal for instance, goal in goals.items() if self.load.answered[instance] < goal}
        assert short == {}


@pytest.fixture
async def sources(site: Site, tmp_path: Path) -> AsyncIterator[Sources]:
    async with _sources(site) as sources:
        yield sources


@pytest.fixture
async def upgrade(site: Site, sources: Sources, tmp_path: Path) -> AsyncIterator[Upgrade]:
    """The old version serves, under load."""
    load = Load(SEED)
    old = await asyncio.to_thread(site.start, checkout_of(OLD, tmp_path / "old"))
    for service, instances in load.instances.items():
        instances.append(old[service])
    carrier = Carrier((sources.customers, sources.orders), sources.nats)
    carrying, loading = asyncio.create_task(carrier.run()), asyncio.create_task(load.run())
    upgrade = Upgrade(site, load, loading, carrying)
    await upgrade.serve_for_a_while()
    yield upgrade
    load.stop()
    carrier.stop()
    await asyncio.gather(loading, carrying)


async def _converged(sources: Sources) -> Snapshot:
    snapshot = await sources.snapshot()
    assert audit(snapshot) == []
    assert set(snapshot.backlog.values()) == {0}
    return snapshot


async def test_an_upgrade_under_load_keeps_every_promise(upgrade: Upgrade, sources: Sources) -> None:
    load = upgrade.load
    old = {service: instances[0] for service, instances in load.instances.items()}
    answered_by_old = [request for request in load.requests if request.ids]
    assert await upgrade.migrate("customer") == migration_names(folders_of("customer"))
    assert await upgrade.migrate("order") == migration_names(folders_of("order"))
    await upgrade.serve_for_a_while()

    new = await upgrade.start(CHECKOUT)
    assert await upgrade.migrate("order", EXPANSION) == migration_names([EXPANSION])
    await upgrade.serve_for_a_while()
    await upgrade.stop(old)
    load.stop()
    await upgrade.loading

    await load.repeat(answered_by_old)
    snapshot = await eventually_async(partial(_converged, sources), CONVERGED_WITHIN_SECONDS)
    assert {request.key: len(request.ids) for request in load.requests} == dict.fromkeys(
        (request.key for request in load.requests), 1
    )
    assert load.orders - snapshot.orders.keys() == set()
    assert {snapshot.orders[order_id].state for order_id in load.cancelled} == {"CANCELLED"}
    assert len(answered_by_old) > ANSWERS / 10
    assert load.answered[new["order"]] > ANSWERS
