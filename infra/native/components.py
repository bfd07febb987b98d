"""The processes of a stack: the command, the environment and the stop signal of each.

A process gets the environment that is written here and nothing else from the caller's. The names of the variables are
those of infra/compose.yaml (tests/contract/test_compose_equals_native.py).
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra.native import engines
from infra.native.layout import CHECKOUT, INFRA, JARS, Layout
from infra.native.ports import HOST
from infra.native.postgres import PostgresRunner

SERVICE_SETTINGS = (
    "LOG_LEVEL",
    "OUTBOX_RETENTION_SECONDS",
    "IDEMPOTENCY_RETENTION_SECONDS",
    "ORDER_DEADLINE_SECONDS",
    "ATTEMPTS_UNSEEN",
)
"""Settings of the services that are passed on from the caller's environment if they are set there."""

KEEPER_SETTINGS = ("KEEPER_INTERVAL_SECONDS",)
"""The same for the keeper."""

ENGINES = ("postgres", "nats", "mongo", "kafka", "connect")
SERVICES = ("customer", "order", "history", "bridge")
COMPONENTS = (*ENGINES, *SERVICES, "keeper")

STOP_STAGES: tuple[tuple[str, ...], ...] = (("keeper", *SERVICES), ("connect",), ("postgres", "nats", "mongo", "kafka"))
"""The order of stopping: clients before their servers."""


@dataclass(frozen=True)
class Component:
    """One supervised process. Its environment holds passwords, so `repr` leaves it out."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: Path = CHECKOUT
    stop_signal: str = "TERM"
    stop_seconds: int = 35
    """A service that cannot reach its database may need the grace of its HTTP side and of its workers."""


@dataclass(frozen=True)
class Blueprint:
    """Describes all components of one stack, from its folder, ports and secrets.

    Attributes:
        settings: the environment that SERVICE_SETTINGS and KEEPER_SETTINGS are taken from.
    """

    layout: Layout
    ports: Mapping[str, int]
    secrets: Mapping[str, str] = field(repr=False)
    postgres: PostgresRunner
    settings: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def components(self) -> list[Component]:
        services = [self._service(name) for name in SERVICES]
        return [
            self._postgres(),
            self._nats(),
            self._mongo(),
            self._kafka(),
            self._connect(),
            *services,
            self._keeper(),
        ]

    def _postgres(self) -> Component:
        # SIGINT is PostgreSQL's fast shutdown. SIGTERM would wait until every client has disconnected.
        command = self.postgres.server_command(self.ports["postgres"])
        return Component("postgres", command, folder=self.postgres.data.parent, stop_signal="INT", stop_seconds=30)

    def _nats(self) -> Component:
        store = self.layout.data / "nats"
        config = INFRA / "nats" / "nats-server.conf"
        where = ["--addr", HOST, "--port", str(self.ports["nats"]), "--store_dir", str(store)]
        command = [str(engines.nats_server()), "--config", str(config), *where]
        # A soft limit: near it, Go collects garbage more often. The live heap reaches 290 MB at 2,000 orders/s because
        # the stream keeps message ids for two minutes; at 256 MiB the collector ran all the time (docs/performance.md).
        return Component("nats", command, {"NATS_TOKEN": self.secrets["NATS_TOKEN"], "GOMEMLIMIT": "384MiB"})

    def _mongo(self) -> Component:
        config = INFRA / "mongo" / "mongod.conf"
        where = ["--bind_ip", HOST, "--port", str(self.ports["mongo"]), "--nounixsocket"]
        data = ["--dbpath", str(self.layout.data / "mongo")]
        return Component("mongo", [str(engines.mongod()), "--config", str(config), *where, *data], stop_seconds=30)

    def _kafka(self) -> Component:
        environment = {
            **engines.java_home(),
            "KAFKA_JARS": str(JARS),
            "KAFKA_DATA": str(self.layout.data / "kafka"),
            "KAFKA_LISTEN_HOST": HOST,
            "KAFKA_ADVERTISED_HOST": HOST,
            "KAFKA_PORT": str(self.ports["kafka"]),
            "KAFKA_CONTROLLER_PORT": str(self.ports["kafka-controller"]),
            "KAFKA_USERNAME": "stack",
            "KAFKA_PASSWORD": self.secrets["KAFKA_PASSWORD"],
        }
        return Component("kafka", ["/bin/sh", str(INFRA / "kafka" / "start-broker.sh")], environment, stop_seconds=30)

    def _connect(self) -> Component:
        environment = {
            **engines.java_home(),
            "KAFKA_JARS": str(JARS),
            **self._kafka_client(),
            "CONNECT_LISTEN_HOST": HOST,
            "CONNECT_ADVERTISED_HOST": HOST,
            "CONNECT_PORT": str(self.ports["connect"]),
            "CONNECT_USERNAME": "stack",
            "CONNECT_PASSWORD": self.secrets["CONNECT_PASSWORD"],
            "CONNECT_PRIVATE": str(self.layout.run / "connect"),
            "POSTGRES_HOST": HOST,
            "POSTGRES_PORT": str(self.ports["postgres"]),
            "CUSTOMER_CDC_PASSWORD": self.secrets["CUSTOMER_CDC_PASSWORD"],
            "ORDER_CDC_PASSWORD": self.secrets["ORDER_CDC_PASSWORD"],
        }
        return Component(
            "connect", ["/bin/sh", str(INFRA / "kafka" / "start-connect.sh")], environment, stop_seconds=20
        )

    def _service(self, name: str) -> Component:
        servers: Mapping[str, str] = {
            "customer": {"DATABASE_URL": self.database_url("customer")},
            "order": {"DATABASE_URL": self.database_url("order")},
            "history": {"MONGODB_URL": self._mongodb_url("history", "MONGODB_HISTORY_PASSWORD", "history")},
            "bridge": self._kafka_client(),
        }[name]
        address = {"HTTP_HOST": HOST, "HTTP_PORT": str(self.ports[name])}
        command = [sys.executable, "-m", f"services.{name}"]
        return Component(
            name, command, address | self._nats_client() | dict(servers) | self._passed_on(SERVICE_SETTINGS)
        )

    def _keeper(self) -> Component:
        environment = self.provisioning() | self._passed_on(KEEPER_SETTINGS)
        return Component("keeper", [sys.executable, "-m", "infra.provision", "keep"], environment)

    def _passed_on(self, names: Sequence[str]) -> dict[str, str]:
        return {name: self.settings[name] for name in names if self.settings.get(name)}

    def provisioning(self) -> dict[str, str]:
        """The environment of infra.provision."""
        return {
            "POSTGRES_URL": self._postgres_url("postgres", "POSTGRES_PASSWORD", "postgres"),
            "CUSTOMER_DATABASE_URL": self.database_url("customer"),
            "ORDER_DATABASE_URL": self.database_url("order"),
            "CUSTOMER_CDC_PASSWORD": self.secrets["CUSTOMER_CDC_PASSWORD"],
            "ORDER_CDC_PASSWORD": self.secrets["ORDER_CDC_PASSWORD"],
            "MONGODB_ADMIN_URL": self._mongodb_url("admin", "MONGODB_ADMIN_PASSWORD", ""),
            "MONGODB_URL": self._mongodb_url("history", "MONGODB_HISTORY_PASSWORD", "history"),
            **self._kafka_client(),
            "CONNECT_URL": f"http://{HOST}:{self.ports['connect']}",
            "CONNECT_USERNAME": "stack",
            "CONNECT_PASSWORD": self.secrets["CONNECT_PASSWORD"],
            **self._nats_client(),
        }

    def database_url(self, service: str) -> str:
        return self._postgres_url(f"{service}_service", f"{service.upper()}_SERVICE_PASSWORD", f"{service}_service")

    def _postgres_url(self, role: str, password: str, database: str) -> str:
        return f"postgresql://{role}:{self.secrets[password]}@{HOST}:{self.ports['postgres']}/{database}"

    def _mongodb_url(self, user: str, password: str, database: str) -> str:
        return f"mongodb://{user}:{self.secrets[password]}@{HOST}:{self.ports['mongo']}/{database}?authSource=admin"

    def _kafka_client(self) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"{HOST}:{self.ports['kafka']}",
            "KAFKA_USERNAME": "stack",
            "KAFKA_PASSWORD": self.secrets["KAFKA_PASSWORD"],
        }

    def _nats_client(self) -> dict[str, str]:
        return {"NATS_URL": f"nats://{HOST}:{self.ports['nats']}", "NATS_TOKEN": self.secrets["NATS_TOKEN"]}
