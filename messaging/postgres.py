"""PostgreSQL as the services use it: one pool, one schema file, and which errors pass by themselves."""

import asyncio
import logging

import asyncpg

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
)
"""What a retry can cure: the statement was right, its surroundings were not."""

POOL_SIZE = 16
COMMAND_TIMEOUT_SECONDS = 30.0

SERVER_SETTINGS = {
    "lock_timeout": "10s",
    # A client that hangs in a transaction would hold its customers' rows locked for everybody.
    "idle_in_transaction_session_timeout": "30s",
}

SCHEMA_LOCK = 20_260_101
"""Advisory lock: two instances that start at once must not both create the schema."""


async def open_pool(url: str, name: str) -> asyncpg.Pool:
    """A pool that opens its connections when they are first needed, so a service can start before its database."""
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=POOL_SIZE,
        command_timeout=COMMAND_TIMEOUT_SECONDS,
        server_settings={**SERVER_SETTINGS, "application_name": name},
        reset=_nothing_to_reset,
    )


async def _nothing_to_reset(connection: asyncpg.Connection) -> None:
    """No session holds a setting, a lock or a listener beyond its transaction: that saves a round trip each time."""


async def apply_schema(pool: asyncpg.Pool, schema: str) -> None:
    """Runs a schema's SQL, whose statements must be harmless when the schema is there already."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", SCHEMA_LOCK)
        await connection.execute(schema)
    log.info("the schema is applied")


async def is_reachable(pool: asyncpg.Pool) -> None:
    """A readiness check: raises what keeps the database from answering."""
    await pool.fetchval("SELECT 1")
