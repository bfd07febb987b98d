"""Starts a stack: engines in parallel, each client after its servers; prints one line for each component."""

import asyncio
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from infra.native import engines
from infra.native.components import SERVICES, Blueprint
from infra.native.ports import HOST
from infra.native.supervision import Supervisor
from infra.provision import connectors, kafka, mongo, postgres, probe, schema
from infra.provision.settings import Settings
from infra.steps import Step, StepFailed, poll
from storage.migrate import MigrationFailed

ENGINE_SECONDS = 180.0
SERVICE_SECONDS = 240.0
"""A service is ready when the stream exists. The bridge creates the stream when Kafka is up: this includes its time."""

FLOW_SECONDS = 120.0
MAX_RESTARTS = 5
LOG_LINES_SHOWN = 15


class Startup:
    """The steps of `make up`. A step whose work is done already changes nothing."""

    def __init__(self, blueprint: Blueprint, supervisor: Supervisor) -> None:
        self._blueprint = blueprint
        self._supervisor = supervisor
        self._settings = Settings.read({**blueprint.provisioning()})

    def steps(self) -> list[Step]:
        return [
            Step("postgres", self._postgres),
            Step("schema", self.schema, after=("postgres",)),
            Step("nats", self._nats),
            Step("mongo", self._mongo),
            Step("kafka", self._kafka),
            Step("connect", self._connect, after=("kafka",)),
            Step("customer", lambda: self._service("customer"), after=("schema", "nats")),
            Step("order", lambda: self._service("order"), after=("schema", "nats")),
            Step("bridge", lambda: self._service("bridge"), after=("kafka", "nats")),
            Step("history", lambda: self._service("history"), after=("mongo", "nats")),
            Step("connectors", self._connectors, after=("connect", "customer", "order")),
            Step("keeper", self._keeper, after=("connectors",)),
            Step("event flow", self._flow, after=("connectors", *SERVICES)),
        ]

    def ready(self, component: str, within: float) -> None:
        """Waits until a component answers; for an engine, until its provisioning succeeds."""
        self._until(component, self._check(component), within)

    def _check(self, component: str) -> Callable[[], object]:
        settings = self._settings
        checks: dict[str, Callable[[], object]] = {
            "postgres": lambda: asyncio.run(postgres.reconcile(settings)),
            "mongo": lambda: mongo.reconcile(settings),
            "nats": self._check_nats,
            "kafka": lambda: kafka.reconcile(settings),
            "connect": lambda: connectors.check_open(settings),
            "keeper": lambda: None,
        }
        return checks.get(component) or (lambda: self._check_service(component))

    def _postgres(self) -> str:
        created = ""
        if not self._runs("postgres"):
            created = self._blueprint.postgres.prepare(self._blueprint.secrets["POSTGRES_PASSWORD"])
        return self._engine("postgres", created)

    def schema(self) -> str:
        """Apply the migrations that are missing; answers which."""
        try:
            return "; ".join(asyncio.run(schema.reconcile(self._settings))) or schema.COMPLETE
        except MigrationFailed as error:
            raise StepFailed(f"schema: {error}") from error

    def _nats(self) -> str:
        return self._engine("nats")

    def _mongo(self) -> str:
        engines.require_mongod()
        (self._blueprint.layout.data / "mongo").mkdir(mode=0o700, exist_ok=True)
        return self._engine("mongo")

    def _kafka(self) -> str:
        (self._blueprint.layout.data / "kafka").mkdir(mode=0o700, exist_ok=True)
        return self._engine("kafka")

    def _connect(self) -> str:
        return self._engine("connect")

    def _engine(self, name: str, detail: str = "") -> str:
        self._supervisor.start(name)
        self.ready(name, ENGINE_SECONDS)
        address = f"{HOST}:{self._blueprint.ports[name]}"
        return f"{address}  {detail}".rstrip()

    def _service(self, name: str) -> str:
        self._supervisor.start(name)
        self.ready(name, SERVICE_SECONDS)
        return f"http://{HOST}:{self._blueprint.ports[name]}"

    def _connectors(self) -> str:
        def check() -> None:
            connectors.reconcile(self._settings)
            connectors.check_running(self._settings)

        asyncio.run(postgres.drop_lost_slots(self._settings))
        self._until("connect", check, ENGINE_SECONDS)
        return ", ".join(connector.name for connector in connectors.declared_connectors())

    def _keeper(self) -> str:
        self._supervisor.start("keeper")
        return "repairs connectors, topics and roles"

    def _flow(self) -> str:
        try:
            milliseconds = asyncio.run(probe.measure(self._settings, FLOW_SECONDS))
        except TimeoutError as error:
            raise StepFailed(f"event flow: {error} (make logs COMPONENT=connect, COMPONENT=bridge)") from error
        return "outbox to stream in " + ", ".join(f"{time:.0f} ms ({name})" for name, time in milliseconds.items())

    def _runs(self, component: str) -> bool:
        return self._supervisor.states()[component].state == "RUNNING"

    def _check_nats(self) -> None:
        asyncio.run(probe.check_open(self._settings))

    def _check_service(self, name: str) -> None:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self._blueprint.ports[name]}/health/ready", timeout=5):
                return
        except urllib.error.HTTPError as error:
            raise TimeoutError(f"answers {error.code} {error.read(500).decode(errors='replace')}") from error

    def _until(self, component: str, check: Callable[[], object], within: float) -> None:
        """Polls `check`; gives up early on a process that ends again and again."""
        pids: set[int] = set()

        def attempt() -> None:
            state = self._supervisor.states()[component]
            pids.add(state.pid)
            if len(pids - {0}) > MAX_RESTARTS:
                raise StepFailed(self._with_log(component, "ends as soon as it has started"))
            check()

        began = time.monotonic()
        try:
            poll(attempt, within)
        except StepFailed:
            raise
        except Exception as error:
            waited = time.monotonic() - began
            description = f"{type(error).__name__}: {error}".splitlines()[0]
            raise StepFailed(self._with_log(component, f"not ready after {waited:.0f} s ({description})")) from error

    def _with_log(self, component: str, problem: str) -> str:
        """The problem and the end of the component's log."""
        log = self._blueprint.layout.log_of(component)
        lines = log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:] if log.exists() else []
        return "\n".join([f"{component}: {problem}. The end of {log}:", *(f"    {line}" for line in lines)])
