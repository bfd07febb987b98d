"""The whole system: the real code of every service and of the bridge, put together over simulated engines."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any
from unittest import mock

from messaging.consumer import Handler
from messaging.envelope import Envelope
from messaging.errors import NotYetVisible
from messaging.streams import DurableConsumer
from messaging.subscriber import Subscriber
from runtime.housekeeping import housekeeping
from services.bridge.jetstream import EventsWriter
from services.bridge.relay import Relay
from services.customer.app import HANDLER_TRANSIENT
from services.customer.handlers import handle_order_events
from services.customer.subscriptions import ORDERS
from services.history.handlers import handle_events
from services.history.subscriptions import place_of
from services.history.views import TRANSIENT_ERRORS as VIEW_TRANSIENT
from services.history.watch import Watch
from services.order.app import DEADLINE_CHECK_SECONDS
from services.order.handlers import handle_credit_decisions, reject_overdue_orders
from services.order.subscriptions import CREDIT_DECISIONS
from services.order.waiting import Waiting
from storage.postgres import TRANSIENT_ERRORS
from tests.simulation.debezium import Debezium
from tests.simulation.invariants import Invariants
from tests.simulation.jetstream import Server
from tests.simulation.kafka import TOPICS, Broker, KafkaRecords
from tests.simulation.mongo import Mongo, Views
from tests.simulation.nats_client import Client
from tests.simulation.plan import Plan
from tests.simulation.postgres import Database
from tests.simulation.process import Life, Process, current_life, together
from tests.simulation.repositories import CustomerRepository, OrderRepository
from tests.simulation.workload import Clients
from tests.simulation.world import World

GRACE_SECONDS = 1.0
"""Until a generation of the view that was swapped out is dropped."""

Prepare = Callable[[], Awaitable[DurableConsumer]]


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
        self._running: dict[str, Subscriber | Watch | Relay] = {}
        self._handled: set[tuple[str, str]] = set()
        mains = {"customer": self._customer, "order": self._order, "history": self._history, "bridge": self._bridge}
        services = {name: self._instances(name, main) for name, main in mains.items()}
        connectors = [
            Process(f"connect-{name}", world, Debezium(database, self.broker).run)
            for name, database in self.databases.items()
        ]
        self.processes = [process for some in services.values() for process in some] + connectors
        self.clients = Clients(world, services, self.databases)

    def start(self) -> None:
        for process in self.processes:
            process.start()

    def stop(self, process: Process) -> None:
        """Asks it to end in good order, as SIGTERM does."""
        if process.life and process.name in self._running:
            self._running[process.name].stop()

    def _instances(self, name: str, main: Callable[[Life], Awaitable[None]]) -> list[Process]:
        return [Process(f"{name}-{number}", self.world, main) for number in range(1, self.plan.instances + 1)]

    # Each as in the service's app.py

    async def _customer(self, life: Life) -> None:
        repository: Any = CustomerRepository(self.databases["customer"], life)
        handler = partial(handle_order_events, repository)
        await self._subscriber(life, "customer", _always(ORDERS), handler, HANDLER_TRANSIENT).run()

    async def _order(self, life: Life) -> None:
        repository: Any = OrderRepository(self.databases["order"], life)
        waiting = Waiting()
        handler = partial(handle_credit_decisions, repository, waiting)
        subscriber = self._subscriber(life, "order", _always(CREDIT_DECISIONS), handler, TRANSIENT_ERRORS)
        deadline = timedelta(seconds=self.plan.deadline)
        overdue = {"overdue orders": partial(reject_overdue_orders, repository, waiting, deadline)}
        await together(life, subscriber.run(), housekeeping(overdue, period=DEADLINE_CHECK_SECONDS))

    async def _history(self, life: Life) -> None:
        views: Any = Views(self.mongo, life)

        def fill(generation: str) -> Subscriber:
            view = views.generation(generation)

            async def prepare() -> DurableConsumer:
                await view.prepare()
                return place_of(generation)

            handler = self._observed("history", partial(handle_events, view), generation)
            return Subscriber("", "", "history", prepare, handler, VIEW_TRANSIENT)

        async def connect() -> Any:
            client = Client(self.nats, life)
            await client.connect()
            return client

        watch = self._running[life.name] = Watch(views, connect, fill, GRACE_SECONDS)
        await watch.run()

    async def _bridge(self, life: Life) -> None:
        client: Any = Client(self.nats, life)
        await client.connect()
        records: Any = KafkaRecords(self.broker, life)
        relay = self._running[life.name] = Relay(EventsWriter(client), records, list(TOPICS))
        await relay.run()

    def _subscriber(
        self, life: Life, name: str, prepare: Prepare, handler: Handler, transient: tuple[type[Exception], ...]
    ) -> Subscriber:
        subscriber = Subscriber("", "", name, prepare, self._observed(name, handler), transient)
        self._running[life.name] = subscriber
        return subscriber

    @contextmanager
    def reachable(self) -> Iterator[None]:
        """As long as this lasts, who connects to NATS gets a connection to the simulated server."""

        async def connect(url: str, token: str, name: str) -> Client:
            life = current_life()
            assert life
            client = Client(self.nats, life)
            await client.connect()
            return client

        with mock.patch("messaging.subscriber.connect", connect):
            yield

    def _observed(self, name: str, handler: Handler, store: str = "") -> Handler:
        """Counts what the handler has to put up with."""
        filled = f"{name} {store}"

        async def handle(envelopes: Sequence[Envelope]) -> None:
            if any((filled, envelope.event_id) in self._handled for envelope in envelopes):
                self.world.struck(f"repeat reached the handler of {name}")
            try:
                await handler(envelopes)
            except NotYetVisible:
                self.world.struck("event came before its row was visible")
                raise
            self._handled.update((filled, envelope.event_id) for envelope in envelopes)

        return handle


def _always(durable: DurableConsumer) -> Prepare:
    async def prepare() -> DurableConsumer:
        return durable

    return prepare
