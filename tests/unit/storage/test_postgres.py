"""Which of PostgreSQL's errors a retry can cure, by their SQLSTATE; and what each connection asks of the server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from storage import postgres as postgres_module
from storage.postgres import TRANSIENT_ERRORS, PostgresDatabase, open_pool

PASS_BY_THEMSELVES = {
    "08000": "connection exception",
    "08003": "connection does not exist",
    "08006": "connection failure",
    "40001": "serialization failure",
    "40P01": "deadlock detected",
    "42703": "undefined column: a migration is missing",
    "42P01": "undefined table: a migration is missing",
    "53100": "disk full",
    "53200": "out of memory",
    "53300": "too many connections",
    "55P03": "lock not available",
    "57014": "query canceled",
    "57P01": "admin shutdown",
    "57P02": "crash shutdown",
    "57P03": "cannot connect now",
}

FAULTS_OF_THE_STATEMENT = {
    "22003": "numeric value out of range",
    "22P05": "untranslatable character",
    "23502": "not null violation",
    "23505": "unique violation",
    "23514": "check violation",
    "42601": "syntax error",
    "42804": "datatype mismatch",
}


def _error(sqlstate: str) -> Exception:
    error: Exception = asyncpg.PostgresError.new({"C": sqlstate, "M": "said the server"})
    return error


@pytest.mark.parametrize("sqlstate", PASS_BY_THEMSELVES, ids=PASS_BY_THEMSELVES.get)
def test_an_error_that_passes_by_itself_is_transient(sqlstate: str) -> None:
    assert isinstance(_error(sqlstate), TRANSIENT_ERRORS)


@pytest.mark.parametrize("sqlstate", FAULTS_OF_THE_STATEMENT, ids=FAULTS_OF_THE_STATEMENT.get)
def test_a_fault_of_the_statement_is_not_transient(sqlstate: str) -> None:
    assert not isinstance(_error(sqlstate), TRANSIENT_ERRORS)


@pytest.mark.parametrize(
    "error",
    [ConnectionRefusedError(), TimeoutError(), asyncpg.InterfaceError("closed")],
    ids=repr,
)
def test_an_error_of_the_connection_is_transient(error: Exception) -> None:
    assert isinstance(error, TRANSIENT_ERRORS)


def test_a_bug_is_not_transient() -> None:
    assert not isinstance(KeyError(), TRANSIENT_ERRORS)


async def test_each_connection_asks_for_limits_of_waiting_and_says_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    @asynccontextmanager
    async def create_pool(url: str, **options: Any) -> AsyncIterator[str]:
        asked.update(options, url=url)
        yield "pool"

    monkeypatch.setattr(asyncpg, "create_pool", create_pool)
    async with open_pool("postgresql://nowhere", "order") as pool:
        anything: Any = pool
        assert anything == "pool"
    assert asked["url"] == "postgresql://nowhere"
    assert asked["server_settings"] == {
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "30s",
        "application_name": "order",
    }
    assert asked["command_timeout"] == 30.0
    assert asked["min_size"] == 0  # a service starts before its database


async def test_a_missing_schema_is_logged_once_for_each_reason_while_it_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = iter([["0001_a", "0002_b"]] * 5 + [["0002_b"]] * 5 + [[]])

    async def missing(_pool: object, _required: object) -> list[str]:
        return next(looks)

    monkeypatch.setattr(postgres_module, "missing_migrations", missing)
    monkeypatch.setattr(postgres_module, "SCHEMA_POLL_SECONDS", 0.0)
    pool: Any = None
    await PostgresDatabase(pool, ["0001_a", "0002_b"]).wait_for_schema()
    reasons = [message.partition(" (")[0] for message in caplog.messages]
    assert reasons == [f"waiting: migrations are not applied: {names}" for names in ("0001_a, 0002_b", "0002_b")]
