"""Every server refuses clients without the right login, and logins that ask for what is not theirs."""

import http.client
import socket
import struct
import xmlrpc.client
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import nats
import pytest
from nats.aio.client import Client
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from infra.native import Stack
from infra.provision.settings import SERVICES, Settings

WRONG = "sWrongPassword"
UNAUTHORIZED = 13
AUTHENTICATION_FAILED = 18


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Settings:
    return Settings.read(stack.environment("keeper"))


def with_login(url: str, user: str, password: str | None) -> str:
    """The same address with another login."""
    parts = urlsplit(url)
    login = user if password is None else f"{user}:{password}"
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.hostname}:{parts.port}"))


def with_database(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


ROLES = ("postgres", *(role for service in SERVICES for role in (f"{service}_service", f"{service}_service_cdc")))


@pytest.mark.parametrize("role", ROLES)
async def test_postgres_refuses_a_wrong_password(role: str, settings: Settings) -> None:
    url = with_login(settings.postgres_url.get_secret_value(), role, WRONG)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url)


@pytest.mark.parametrize("role", ROLES)
async def test_postgres_refuses_a_client_without_a_password(
    role: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    url = with_login(settings.postgres_url.get_secret_value(), role, None)
    with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InterfaceError), match="password"):
        await asyncpg.connect(url)


def role_url(settings: Settings, service: str, role: str) -> str:
    """The service's login, or that of its replication role, in the service's own database."""
    url = settings.database_url(service)
    return url if role == "service" else with_login(url, f"{service}_service_cdc", settings.cdc_password(service))


@pytest.mark.parametrize(("service", "other"), [SERVICES, SERVICES[::-1]])
@pytest.mark.parametrize("role", ["service", "cdc"])
async def test_a_role_cannot_connect_to_the_other_services_database(
    service: str, other: str, role: str, settings: Settings
) -> None:
    url = with_database(role_url(settings, service, role), f"{other}_service")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="does not have CONNECT privilege"):
        await asyncpg.connect(url)


@pytest.fixture(params=SERVICES)
async def cdc(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """A connection of a service's replication role to the service's database."""
    connection = await asyncpg.connect(role_url(settings, request.param, "cdc"))
    yield connection
    await connection.close()


async def test_the_replication_role_reads_the_outbox_and_no_other_table(cdc: asyncpg.Connection) -> None:
    tables = await cdc.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    names = {row["tablename"] for row in tables}
    assert len(names) > 2
    for table in names - {"outbox"}:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await cdc.fetch(f"SELECT * FROM {table}")  # noqa: S608  (a name from the catalogue)
    await cdc.fetchval("SELECT count(*) FROM outbox")


async def test_the_replication_role_cannot_change_the_outbox_or_create_a_table(cdc: asyncpg.Connection) -> None:
    for statement in (
        "DELETE FROM outbox",
        "INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('probe', '1', 'x', '{}')",
        "CREATE TABLE mine (id int)",
        "CREATE ROLE mine",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await cdc.execute(statement)


async def connect_to_nats(settings: Settings, login: dict[str, str]) -> None:
    """Connects and closes the connection."""

    async def ignore(_error: Exception) -> None:
        """The library would print the error that `connect` raises."""

    client = Client()
    try:
        await client.connect(
            settings.nats_url,
            allow_reconnect=False,
            error_cb=ignore,
            connect_timeout=5,
            token=login.get("token"),
            user=login.get("user"),
            password=login.get("password"),
        )
    finally:
        await client.close()


@pytest.mark.parametrize(
    "login", [{}, {"token": WRONG}, {"user": "stack", "password": WRONG}], ids=["no token", "wrong token", "a user"]
)
async def test_nats_refuses_a_client_without_its_token(login: dict[str, str], settings: Settings) -> None:
    with pytest.raises(nats.errors.Error, match="Authorization Violation"):
        await connect_to_nats(settings, login)


async def test_nats_accepts_its_token(settings: Settings) -> None:
    await connect_to_nats(settings, {"token": settings.nats_token.get_secret_value()})


LISTENERS = ("kafka", "kafka-controller")
DESCRIBE_CLUSTER, SASL_HANDSHAKE, SASL_AUTHENTICATE = 60, 17, 36
SASL_AUTHENTICATION_FAILED = 58


def ask_kafka(connection: socket.socket, api: int, version: int, body: bytes, tags: bytes = b"") -> bytes:
    """One request of Kafka's protocol, and the answer behind its header; b"" if Kafka closes the connection."""
    request = struct.pack(">hhih4s", api, version, 1, 4, b"test") + tags + body
    try:
        connection.sendall(struct.pack(">i", len(request)) + request)
        return connection.recv(65_536)[8:]
    except ConnectionError:
        return b""


@contextmanager
def kafka_connection(stack: Stack, listener: str) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", stack.port(listener)), timeout=10) as connection:
        yield connection


def log_in_to_kafka(stack: Stack, listener: str, user: str, password: str) -> int:
    """The error code of a login by SASL PLAIN; 0 is success."""
    login = f"\0{user}\0{password}".encode()
    with kafka_connection(stack, listener) as connection:
        ask_kafka(connection, SASL_HANDSHAKE, 1, struct.pack(">h5s", 5, b"PLAIN"))
        answer = ask_kafka(connection, SASL_AUTHENTICATE, 0, struct.pack(">i", len(login)) + login)
    return int.from_bytes(answer[:2], "big")


@pytest.mark.parametrize("listener", LISTENERS)
def test_kafka_closes_a_connection_that_asks_without_a_login(listener: str, stack: Stack) -> None:
    with kafka_connection(stack, listener) as connection:
        assert ask_kafka(connection, DESCRIBE_CLUSTER, 0, b"\0\0", tags=b"\0") == b""


@pytest.mark.parametrize("user", ["stack", "nobody"])
@pytest.mark.parametrize("listener", LISTENERS)
def test_kafka_refuses_a_wrong_login(listener: str, user: str, stack: Stack) -> None:
    assert log_in_to_kafka(stack, listener, user, WRONG) == SASL_AUTHENTICATION_FAILED


@pytest.mark.parametrize("listener", LISTENERS)
def test_kafka_accepts_its_login(listener: str, stack: Stack, settings: Settings) -> None:
    assert log_in_to_kafka(stack, listener, "stack", settings.kafka_password.get_secret_value()) == 0


@dataclass(frozen=True)
class Request:
    """A request to Connect's REST API."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


REQUESTS = [
    Request("GET", "/"),
    Request("GET", "/connectors"),
    Request("GET", "/connectors/order-outbox/config"),
    Request("PUT", "/connectors/order-outbox/pause"),
    Request("DELETE", "/connectors/unknown"),
    # Workers use these two among each other, without a password but with a signature.
    Request("POST", "/connectors/order-outbox/tasks"),
    Request("PUT", "/connectors/order-outbox/fence"),
]


@pytest.mark.parametrize("login", [None, ("stack", WRONG), ("nobody", WRONG)], ids=["no login", "password", "user"])
@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_connect_refuses_requests_without_its_login(
    request_: Request, login: tuple[str, str] | None, settings: Settings
) -> None:
    body: list[dict[str, str]] | None = [] if request_.method in ("POST", "PUT") else None
    with httpx.Client(base_url=settings.connect_url, auth=login, trust_env=False) as api:
        answer = api.request(request_.method, request_.path, json=body)
    assert answer.status_code in (400, 401, 403), answer.text
    if answer.status_code == 400:
        assert "signature" in answer.text.lower()


def test_connect_accepts_its_login(settings: Settings) -> None:
    login = (settings.connect_username, settings.connect_password.get_secret_value())
    assert httpx.get(f"{settings.connect_url}/connectors", auth=login).status_code == 200


def mongodb_error(url: str, database: str) -> int | None:
    """The code of the error that a client gets when it reads and writes in a database."""
    with MongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=5_000) as client:
        try:
            client[database]["refusals"].find_one()
            client[database]["refusals"].insert_one({})
        except OperationFailure as error:
            return error.code
    return None


@pytest.mark.parametrize("user", ["admin", "history"])
def test_mongodb_refuses_a_wrong_password(user: str, settings: Settings) -> None:
    url = with_login(settings.mongodb_url.get_secret_value(), user, WRONG)
    assert mongodb_error(url, "history") == AUTHENTICATION_FAILED


@pytest.mark.parametrize("database", ["history", "admin", "local"])
def test_mongodb_refuses_a_client_without_a_login(database: str, settings: Settings) -> None:
    address = urlsplit(settings.mongodb_url.get_secret_value())
    assert mongodb_error(f"mongodb://{address.hostname}:{address.port}/", database) == UNAUTHORIZED


def test_mongodb_refuses_to_create_a_second_first_user(settings: Settings) -> None:
    address = urlsplit(settings.mongodb_url.get_secret_value())
    with (
        MongoClient[dict[str, Any]](f"mongodb://{address.hostname}:{address.port}/") as client,
        pytest.raises(OperationFailure, match="requires authentication"),
    ):
        client.admin.command("createUser", "intruder", pwd=WRONG, roles=["root"])


@pytest.mark.parametrize("database", ["admin", "config", "other"])
def test_the_history_user_is_refused_in_every_other_database(database: str, settings: Settings) -> None:
    assert mongodb_error(settings.mongodb_url.get_secret_value(), database) == UNAUTHORIZED


def test_the_history_user_may_use_its_own_database(settings: Settings) -> None:
    with MongoClient[dict[str, Any]](settings.mongodb_url.get_secret_value()) as client:
        assert "generations" in client.get_default_database().list_collection_names()


@pytest.mark.parametrize("login", ["", f"stack:{WRONG}@", f"nobody:{WRONG}@"], ids=["no login", "password", "user"])
def test_the_supervisor_refuses_clients_without_its_login(login: str, stack: Stack) -> None:
    address = f"http://{login}127.0.0.1:{stack.port('supervisor')}/RPC2"
    with xmlrpc.client.ServerProxy(address) as proxy, pytest.raises(xmlrpc.client.ProtocolError, match="401"):
        proxy.supervisor.getState()


@pytest.mark.parametrize("path", ["/", "/logtail/order", "/mainlogtail"])
def test_the_supervisors_pages_are_refused_without_its_login(path: str, stack: Stack) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", stack.port("supervisor"), timeout=10)
    try:
        connection.request("GET", path)
        assert connection.getresponse().status == 401
    finally:
        connection.close()
