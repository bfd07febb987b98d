"""The whole system: every service and the bridge as production assembles them, over simulated engines."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from runtime.workers import Worker
from services.bridge import ports as bridge_ports
from services.bridge import service as bridge
from services.bridge.settings import Settings as BridgeSettings
from services.customer import ports as customer_ports
from services.customer import service as customer
from services.customer.settings import Settings as CustomerSettings
from services.history import ports as history_ports
from services.history import service as history
from services.history.settings import Settings as HistorySettings
from services.order import ports as order_ports
from services.order import service as order
from services.order.settings import Settings as OrderSettings
from tests.simulation.clients import Clients
from tests.simulation.debezium import Debezium
from tests.simulation.http import HttpServer
from tests.simulation.invariants import Invariants
from tests.simulation.jetstream import Server
from tests.simulation.kafka import TOPICS, Broker, KafkaRecords
from tests.simulation.mongo import Mongo, Views
from tests.simulation.plan import Plan
from tests.simulation.ports import DatabasePort, open_connection
from tests.simulation.postgres import Database
from tests.simulation.process import Life, Process
from tests.simulation.repositories import CustomerRepository, OrderRepository
from tests.simulation.world import Crashed, World
from web.application import Service, create_app

GRACE_SECONDS = 1.0
"""From a swap of the view's generations until the old one is dropped; half a minute would end most runs too late."""

OpenService = Callable[[Life], AbstractAsyncContextManager[Service]]


@dataclass(frozen=True, slots=True)
class SettingsOfAll:
    """The settings of every process."""

    customer: CustomerSettings
    order: OrderSettings
    history: HistorySettings
    bridge: BridgeSettings


@lru_cache
def settings_with(deadline: int) -> SettingsOfAll:
    """The settings of a run, the same for each of its processes; addresses mean nothing to simulated ports."""
    addresses = {
        "http_port": 0,
        "nats_url": "nats://simulated",
        "nats_token": "",
        "database_url": "postgresql://simulated",
        "mongodb_url": "mongodb://simulated",
        "kafka_bootstrap_servers": "simulated",
        "kafka_username": "",
        "kafka_password": "",
    }
    return SettingsOfAll(
        customer=CustomerSettings.model_validate(addresses),
        order=OrderSettings.model_validate({**addresses, "order_deadline_seconds": deadline}),
        history=HistorySettings.model_validate({**addresses, "view_grace_seconds": GRACE_SECONDS}),
        bridge=BridgeSettings.model_validate({**addresses, "topics": TOPICS}),
    )


class System:
    """Every engine and every process of a plan."""

    def __init__(self, plan: Plan, world: World) -> None:
        self.plan = plan
        self.world = world
        self.broker = Broker(world, plan.partitions)
        self.invariants = Invariants(self)
        self.databases = {
            name: Database(name, world, partial(self.invariants.after_commit, name)) for name in ("customer", "order")
        }
        self.nats = Server(world, plan.duplicate_window, self.invariants.after_append)
        check = self.invariants
        self.mongo = Mongo(world, check.after_view_write, check.after_swap, check.before_drop)
        self._settings = settings_with(plan.deadline)
        self._servers: dict[str, HttpServer] = {}
        openers: Mapping[str, OpenService] = {
            "customer": self._open_customer,
            "order": self._open_order,
            "history": self._open_history,
            "bridge": self._open_bridge,
        }
        services = [process for name, opener in openers.items() for process in self._instances(name, opener)]
        connectors = [
            Process(f"connect-{name}", world, Debezium(database, self.broker).run)
            for name, database in self.databases.items()
        ]
        self.processes = [*services, *connectors]
        self.clients = Clients(world, self.servers_of, self.databases)

    def start(self) -> None:
        for process in self.processes:
            process.start()

    def stop(self, process: Process) -> None:
        """Asks it to end in good order, as SIGTERM does."""
        if process.life and process.name in self._servers:
            self._servers[process.name].stop()

    def servers_of(self, service: str) -> list[HttpServer]:
        """Those of the service's instances that accept requests at the moment."""
        alive = [process.name for process in self.processes if process.life and process.name.startswith(service)]
        return [server for name in alive if (server := self._servers.get(name)) and server.is_accepting]

    def _instances(self, name: str, opener: OpenService) -> list[Process]:
        main = partial(self._serve, opener)
        return [Process(f"{name}-{number}", self.world, main) for number in range(1, self.plan.instances + 1)]

    async def _serve(self, opener: OpenService, life: Life) -> None:
        """As runtime.serve.serve: one life of a service's process."""

        @asynccontextmanager
        async def open_service() -> AsyncIterator[Service]:
            async with opener(life) as service:
                workers = {name: _Watched(worker, name, life) for name, worker in service.workers.items()}
                yield replace(service, workers=workers)

        server = self._servers[life.name] = HttpServer(create_app(open_service, end_process=_no_process_to_end), life)
        await server.run()

    # Each as in the service's app.py, with simulated ports

    @asynccontextmanager
    async def _open_customer(self, life: Life) -> AsyncIterator[Service]:
        database = self.databases["customer"]
        async with open_connection(self.nats, life) as stream:
            ports = customer_ports.Ports(DatabasePort(database, life), CustomerRepository(database, life), stream)
            yield customer.assemble(ports, self._settings.customer)

    @asynccontextmanager
    async def _open_order(self, life: Life) -> AsyncIterator[Service]:
        database = self.databases["order"]
        async with open_connection(self.nats, life) as stream:
            ports = order_ports.Ports(DatabasePort(database, life), OrderRepository(database, life), stream)
            yield order.assemble(ports, self._settings.order)

    @asynccontextmanager
    async def _open_history(self, life: Life) -> AsyncIterator[Service]:
        async with open_connection(self.nats, life) as stream:
            yield history.assemble(history_ports.Ports(Views(self.mongo, life), stream), self._settings.history)

    @asynccontextmanager
    async def _open_bridge(self, life: Life) -> AsyncIterator[Service]:
        async with open_connection(self.nats, life) as stream:
            yield bridge.assemble(bridge_ports.Ports(KafkaRecords(self.broker, life), stream), self._settings.bridge)


def _no_process_to_end() -> None:
    """A killed life has ended already; the worker of a living one that ends is a violation (_Watched)."""


class _Watched:
    """A worker whose failure ends the run: in production, runtime.workers ends the process with a signal.

    Implements runtime.workers.Worker.
    """

    def __init__(self, worker: Worker, name: str, life: Life) -> None:
        self._worker = worker
        self._name = name
        self._life = life
        self._stopped = False

    @property
    def fault(self) -> str | None:
        return self._worker.fault

    async def run(self) -> None:
        try:
            await self._worker.run()
        except Crashed:
            return
        except Exception as error:  # noqa: BLE001 - no error may end a worker
            self._life.world.violate(f"worker {self._name} of {self._life.name} ended by {error!r}")
        else:
            if not self._stopped and not self._life.ended:
                self._life.world.violate(f"worker {self._name} of {self._life.name} returned before it was stopped")

    def stop(self) -> None:
        self._stopped = True
        self._worker.stop()
