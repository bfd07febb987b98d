"""A service as a process of its own, over a database without its tables: it waits, says so, and answers 503."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from infra.provision.schema import folders_of
from storage.schema import migration_names
from tests.engines import TOKEN, NatsServer, migrate_database
from tests.eventually import eventually
from tests.processes import ServiceProcess

LISTS = {"order": "/orders", "customer": "/customers"}
NOBODY_LISTENS = "nats://127.0.0.1:9"

Start = Callable[..., ServiceProcess]


@pytest.fixture
def start(nats_server: NatsServer, tmp_path: Path) -> Iterator[Start]:
    """Starts a service over a database, and returns when it listens."""
    started = []

    def start(service: str, database_url: str, nats_url: str = nats_server.url) -> ServiceProcess:
        environment = {"DATABASE_URL": database_url, "NATS_URL": nats_url, "NATS_TOKEN": TOKEN}
        started.append(process := ServiceProcess(service, environment, tmp_path / f"{service}.log"))
        eventually(process.require_live)
        return process

    yield start
    for process in started:
        process.stop()


def _get(process: ServiceProcess, path: str) -> httpx.Response:
    return httpx.get(f"{process.url}{path}", trust_env=False)


def _require_faults(process: ServiceProcess, part: str, text: str) -> None:
    process.require_running()
    assert text in _get(process, "/health/ready").json()["faults"].get(part, "")


def _require_answer(process: ServiceProcess, path: str) -> None:
    process.require_running()
    assert _get(process, path).status_code == httpx.codes.OK


def _require_refusal(process: ServiceProcess, path: str) -> None:
    answer = _get(process, path)
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("service", LISTS)
async def test_a_service_without_its_tables_names_the_missing_migrations_and_serves_once_they_are_applied(
    database: str, start: Start, service: str
) -> None:
    process = start(service, database)
    for name in migration_names(folders_of(service)):
        eventually(partial(_require_faults, process, "database", name))
    _require_refusal(process, LISTS[service])
    assert "0101" in _get(process, LISTS[service]).json()["detail"]
    assert process.log.read_text().count("waiting: migrations are not applied") == 1
    await migrate_database(database, service)
    eventually(partial(_require_answer, process, LISTS[service]))


async def test_a_service_with_a_part_of_its_migrations_waits_for_the_rest(
    database: str, pool: asyncpg.Pool, start: Start
) -> None:
    await migrate_database(database, "order")
    await pool.execute("DELETE FROM schema_migrations WHERE version = '0102'")
    process = start("order", database)
    eventually(partial(_require_faults, process, "database", "migrations are not applied: 0102_publication ("))
    _require_refusal(process, "/orders")


async def test_a_service_opens_with_its_tables_while_nats_is_away(database: str, start: Start) -> None:
    process = start("order", database, NOBODY_LISTENS)
    await migrate_database(database, "order")
    eventually(partial(_require_answer, process, "/orders"))
    _require_faults(process, "consumer", "waiting for NATS")


async def test_a_service_that_starts_before_its_database_exists_opens_without_a_restart(
    addresses: Mapping[str, str], database: str, start: Start
) -> None:
    admin, name = await asyncpg.connect(addresses["POSTGRES_URL"]), urlsplit(database).path[1:]
    await admin.execute(f"DROP DATABASE {name}")
    process = start("order", database)
    eventually(partial(_require_faults, process, "database", "does not exist"))
    _require_refusal(process, "/orders")
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    eventually(partial(_require_faults, process, "database", "migrations are not applied"))
    await migrate_database(database, "order")
    eventually(partial(_require_answer, process, "/orders"))


async def test_a_service_whose_tables_disappear_answers_503_until_they_are_there_again(
    database: str, pool: asyncpg.Pool, start: Start
) -> None:
    await migrate_database(database, "order")
    process = start("order", database)
    eventually(partial(_require_answer, process, "/orders"))
    await pool.execute("DROP PUBLICATION order_outbox; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    _require_refusal(process, "/orders")
    eventually(partial(_require_faults, process, "database", "migrations are not applied"))
    await migrate_database(database, "order")
    eventually(partial(_require_answer, process, "/orders"))
    with suppress(KeyError):
        assert "database" not in _get(process, "/health/ready").json()["faults"]
