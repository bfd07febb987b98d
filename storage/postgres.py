"""A service's PostgreSQL database: the pool, the wait for its schema, and which errors pass by themselves."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

import asyncpg

from storage import idempotency, outbox
from storage.schema import missing_migrations

log = logging.getLogger(__name__)

TRANSIENT_ERRORS: tuple[type[Exception], ...] = (
    OSError,  # refused, reset; includes TimeoutError
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,  # "connection is closed", "connection was closed in the middle of operation"
    asyncpg.CannotConnectNowError,  # starting up or recovering
    asyncpg.OperatorInterventionError,  # shutting down, or a backend was terminated
    asyncpg.InsufficientResourcesError,  # disk full, too many connections
    asyncpg.TransactionRollbackError,  # serialization failure, deadlock
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    # The schema is not the one that this code needs: a migration is missing. No message is to blame for it.
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.InvalidCachedStatementError,  # a migration has changed what a prepared statement returns
    # The server is new or was restored empty: the keeper creates the role and the database.
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)
"""Errors that a retry can cure: the statement was right, the database was not able to carry it out."""

SCHEMA_POLL_SECONDS = 0.2

POOL_SIZE = 16
COMMAND_TIMEOUT_SECONDS = 30.0

SERVER_SETTINGS = {
    "lock_timeout": "10s",
    # A client that hangs in a transaction keeps its customers' rows locked for everybody.
    "idle_in_transaction_session_timeout": "30s",
}


@asynccontextmanager
async def open_pool(url: str, name: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool that connects when a connection is first needed, so a service can start before its database.

    Args:
        url: postgresql://role:password@host:port/database
        name: shown by the server as the application's name.
    """
    async with asyncpg.create_pool(
        url,
        min_size=0,
        max_size=POOL_SIZE,
        command_timeout=COMMAND_TIMEOUT_SECONDS,
        server_settings={**SERVER_SETTINGS, "application_name": name},
        reset=_no_reset,
    ) as pool:
        yield pool


async def _no_reset(connection: asyncpg.Connection) -> None:
    """Saves asyncpg's RESET round trip: no session keeps a setting, a lock or a listener beyond its transaction."""


class Database(Protocol):
    """What every service with PostgreSQL asks of its database, besides its own SQL."""

    @property
    def missing_schema(self) -> str | None:
        """Why no statement can be served yet, in words for an operator; None since the schema was complete once."""

    async def wait_for_schema(self) -> None:
        """Returns when the schema is the one that this code needs.

        Raises:
            One of TRANSIENT_ERRORS: the database is away.
        """

    async def ping(self) -> str | None:
        """A health check: which part of the schema is missing now. Raises why the database does not answer."""

    async def delete_expired_events(self, retention: timedelta) -> int:
        """Deletes one batch of outbox rows that are older than the retention, and returns how many."""

    async def delete_expired_keys(self, retention: timedelta) -> int:
        """Deletes one batch of idempotency keys that are older than the retention, and returns how many."""


class PostgresDatabase:
    """The real one. Implements Database."""

    def __init__(self, pool: asyncpg.Pool, required: Sequence[str]) -> None:
        self._pool = pool
        self._required = required
        self.missing_schema: str | None = "the database has not answered yet"

    async def wait_for_schema(self) -> None:
        told = None
        while missing := await self._look():
            if missing != told:
                log.warning("waiting: %s", missing)
                told = missing
            await asyncio.sleep(SCHEMA_POLL_SECONDS)

    async def ping(self) -> str | None:
        return await self._look()

    async def _look(self) -> str | None:
        missing = await missing_migrations(self._pool, self._required)
        text = None
        if missing:
            text = f"migrations are not applied: {', '.join(missing)} (the keeper applies them; by hand: make migrate)"
        # Once open it stays open: if the tables disappear later, the statements themselves fail with a transient error.
        if self.missing_schema is not None:
            self.missing_schema = text
        return text

    async def delete_expired_events(self, retention: timedelta) -> int:
        return await outbox.delete_expired(self._pool, retention)

    async def delete_expired_keys(self, retention: timedelta) -> int:
        return await idempotency.delete_expired(self._pool, retention)
