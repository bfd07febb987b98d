"""Engines for one test: a database, a topic or a NATS server of its own, so that tests cannot meet."""

import os
import random
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

import infra
from infra.native.ports import is_free
from infra.provision.schema import folders_of
from services.bridge.kafka_login import KafkaConfig, kafka_login
from storage.migrate import apply
from tests.eventually import eventually

KAFKA_SECONDS = 15.0
STOP_SECONDS = 10.0

TOKEN = "sonly-for-the-tests"


@asynccontextmanager
async def fresh_database(admin_url: str) -> AsyncIterator[str]:
    """The URL of an empty PostgreSQL database, dropped afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(admin_url)
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        yield urlunsplit(urlsplit(admin_url)._replace(path=f"/{name}"))
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


async def migrate_database(url: str, service: str) -> None:
    """Gives a database the tables of a service, as the keeper does."""
    await apply(url, folders_of(service))


@asynccontextmanager
async def migrated_database(admin_url: str, service: str) -> AsyncIterator[str]:
    """The URL of a PostgreSQL database with a service's empty tables, dropped afterwards."""
    async with fresh_database(admin_url) as url:
        await migrate_database(url, service)
        yield url


PORTS = range(20_000, 27_000)
"""Not the ports of outgoing connections: one of those could take the port of a server that a test has stopped."""


def free_port() -> int:
    """A random one, so that tests that run at the same time do not choose the same."""
    return next(port for port in random.sample(PORTS, len(PORTS)) if is_free(port))


class NatsServer:
    """A NATS server with the stack's configuration and a store of its own; may be stopped and started again.

    Attributes:
        port: a free one, which it keeps.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._process: subprocess.Popen[str] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when the server has said that it is ready."""
        [folder] = infra.__path__
        config = Path(folder) / "nats" / "nats-server.conf"
        program = str(Path(sys.executable).with_name("nats-server"))
        where = ["--addr", "127.0.0.1", "--port", str(self.port), "--store_dir", str(self._store)]
        self._process = subprocess.Popen(
            [program, "--config", str(config), *where],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "NATS_TOKEN": TOKEN},
        )
        self._wait_until_ready(self._process)

    def _wait_until_ready(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "Server is ready" in line:
                return
        raise AssertionError(f"nats-server ended: {''.join(said)}")

    def kill(self) -> None:
        """As a crash does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        if self._process:
            self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(STOP_SECONDS)
        if self._process.stderr:
            self._process.stderr.close()
        self._process = None


def login_from(environment: Mapping[str, str]) -> KafkaConfig:
    """Kafka's login, from the variables that the bridge reads."""
    names = ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_USERNAME", "KAFKA_PASSWORD")
    return kafka_login(*(environment[name] for name in names))


class KafkaTopics:
    """Topics on the stack's Kafka, made and deleted by a test.

    Args:
        environment: where Kafka is, under the names that the bridge reads.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        connection = login_from(environment)
        self._admin = AdminClient(connection)
        self._producer = Producer(connection | {"linger.ms": 1, "enable.idempotence": True})
        self._made: set[str] = set()

    def create(self, partitions: int = 2, name: str | None = None) -> str:
        """A topic whose name fits the subjects of the stream EVENTS; each partition has a leader when it returns."""
        name = name or f"events.t{secrets.token_hex(6)}"
        [created] = self._admin.create_topics([NewTopic(name, partitions, 1)]).values()
        created.result(KAFKA_SECONDS)
        self._made.add(name)
        eventually(partial(self._require_leaders, name, partitions))
        return name

    def _require_leaders(self, name: str, partitions: int) -> None:
        # Kafka answers that a topic is made before its broker has taken up the lead of each partition.
        asked = {
            TopicPartition(name, number): OffsetSpec.latest()  # type: ignore[no-untyped-call]
            for number in range(partitions)
        }
        try:
            for end in self._admin.list_offsets(asked).values():
                end.result(KAFKA_SECONDS)
        except KafkaException as error:
            raise AssertionError(f"a partition of {name} cannot be read yet") from error

    def delete(self, name: str) -> None:
        [deleted] = self._admin.delete_topics([name], operation_timeout=KAFKA_SECONDS).values()
        deleted.result(KAFKA_SECONDS)
        self._made.discard(name)

    def write(self, topic: str, events: Sequence[tuple[int, str, bytes]]) -> None:
        """Writes (partition, event id, payload) records with the headers that Debezium writes."""
        for partition, event_id, payload in events:
            headers: list[tuple[str, str | bytes | None]] = [
                ("id", event_id.encode()),
                ("type", b"OrderCreated"),
                ("traceparent", None),
            ]
            self._producer.produce(topic, payload, event_id, partition, headers=headers)
        assert self._producer.flush(KAFKA_SECONDS) == 0

    def delete_all(self) -> None:
        for name in list(self._made):
            self.delete(name)
