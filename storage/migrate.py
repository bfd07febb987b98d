"""Applies the migrations that a database has not got yet: one process at a time, beside services that run.

dbmate runs the SQL files and notes each of them (docs/adr/0014). This module adds what it lacks:

- An advisory lock whose waiters poll. A session that waits inside of pg_advisory_lock, as with dbmate's own lock, has a
  snapshot, and CREATE INDEX CONCURRENTLY waits for all snapshots: the two would wait for each other.
- A short lock timeout. While DDL waits for its table lock, every later query of that table waits behind it.
- Another attempt after a lock timeout, and no invalid index left behind.

Errors:

    MigrationFailed         with dbmate's own words
    └── TableBusy           the last attempt ended by a lock timeout, too
"""

import asyncio
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
from tenacity import AsyncRetrying, before_sleep_log, retry_if_exception_type, stop_after_attempt, wait_fixed

from storage.schema import migration_names, missing_migrations

log = logging.getLogger(__name__)

PROGRAM = "dbmate"

LOCK_KEY = 20_260_101
"""Of the advisory lock. Releases before the first migration took the same one while they created their tables."""

LOCK_WAIT_SECONDS = 60.0
POLL_SECONDS = 0.1

ATTEMPTS = 20
PAUSE_SECONDS = 0.5
"""Between two attempts. In it the requests that queued behind the last one are answered."""

SESSION_SETTINGS = {
    "application_name": PROGRAM,
    # How long the services may be held up: their queries queue behind a statement that waits for a table lock.
    "lock_timeout": "1s",
    # For an index that is built concurrently: nothing waits for it. Other files set a shorter one (`make lint` looks).
    "statement_timeout": "1h",
    "idle_in_transaction_session_timeout": "10s",
    # If dbmate is killed, the server stops its statement.
    "client_connection_check_interval": "1s",
}

CONNECT_TIMEOUT_SECONDS = 5.0

ANOTHER_RUNS = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1)
"""

INVALID_INDEXES = """
SELECT c.oid::regclass::text AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid AND c.relname = ANY($1::text[])
"""

CONCURRENT_INDEX = re.compile(r"INDEX\s+CONCURRENTLY\s+IF\s+NOT\s+EXISTS\s+(\w+)", re.IGNORECASE)

BUSY = re.compile(r"\((55P03|40P01)\)")
"""SQLSTATEs of a lock timeout and of a deadlock."""


class MigrationFailed(Exception):
    """A database could not be migrated. What was applied before stays applied; the failed file left nothing behind."""


class TableBusy(MigrationFailed):
    """A migration did not get a table lock within the lock timeout."""


async def apply(url: str, folders: Sequence[Path], lock_wait: float = LOCK_WAIT_SECONDS) -> list[str]:
    """Applies what is missing, in the order of the numbers; several processes may call it at once.

    Args:
        url: postgresql://role:password@host:port/database; the role owns the database.
        folders: with the SQL files; no number in two files.
        lock_wait: seconds to wait for another process that migrates this database.

    Returns:
        The names of the migrations that this call applied.

    Raises:
        MigrationFailed: see the module.
        OSError, asyncpg.PostgresError: the database does not answer, or refuses the role.
    """
    required = migration_names(folders)
    connection = await asyncpg.connect(
        url, timeout=CONNECT_TIMEOUT_SECONDS, server_settings={"lock_timeout": SESSION_SETTINGS["lock_timeout"]}
    )
    try:
        if not await missing_migrations(connection, required):
            return []
        await _lock(connection, lock_wait)
        pending = await missing_migrations(connection, required)
        if pending:
            await _apply(connection, url, folders)
        return pending
    finally:
        await connection.close()


async def _lock(connection: asyncpg.Connection, lock_wait: float) -> None:
    """Takes the advisory lock. It ends with the connection, also when this process is killed."""
    try:
        async with asyncio.timeout(lock_wait):
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS)
            # A dbmate that outlived the process which started it is not covered by the lock any more.
            while await connection.fetchval(ANOTHER_RUNS, PROGRAM):  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise MigrationFailed(f"another process has been migrating this database for {lock_wait:.0f} s") from None


async def _apply(connection: asyncpg.Connection, url: str, folders: Sequence[Path]) -> None:
    attempts = AsyncRetrying(
        retry=retry_if_exception_type(TableBusy),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_fixed(PAUSE_SECONDS),
        before_sleep=before_sleep_log(log, logging.WARNING),
        reraise=True,
    )
    async for attempt in attempts:
        with attempt:
            await _try_to_apply(connection, url, folders)


async def _try_to_apply(connection: asyncpg.Connection, url: str, folders: Sequence[Path]) -> None:
    # A process that was killed while it built an index has left it invalid; IF NOT EXISTS would take it for done.
    await _drop_invalid_indexes(connection, folders)
    try:
        await _run_dbmate(url, folders)
    except MigrationFailed:
        # An invalid unique index refuses rows all the same.
        await _drop_invalid_indexes(connection, folders)
        raise


async def _drop_invalid_indexes(connection: asyncpg.Connection, folders: Sequence[Path]) -> None:
    """Only those that a migration builds: an operator may be building another one."""
    texts = [file.read_text(encoding="utf-8") for folder in folders for file in folder.glob("*.sql")]
    ours = [name for text in texts for name in CONCURRENT_INDEX.findall(text)]
    for row in await connection.fetch(INVALID_INDEXES, ours):
        try:
            await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {row['name']}")
        except asyncpg.LockNotAvailableError as error:
            raise TableBusy(f"the invalid index {row['name']} cannot be dropped: {error}") from error


async def _run_dbmate(url: str, folders: Sequence[Path]) -> None:
    program = Path(sys.executable).with_name(PROGRAM)
    where = [part for folder in folders for part in ("--migrations-dir", str(folder))]
    # The address is in the environment, where other users of the machine cannot read its password.
    process = await asyncio.create_subprocess_exec(
        *(str(program), "--no-dump-schema", "--env-file", "/dev/null", *where, "migrate"),
        env={"DATABASE_URL": _with_settings(url)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        failed = output.decode(errors="replace").rpartition("Applying: ")[2]
        text = ": ".join(line.strip() for line in failed.splitlines() if line.strip())
        raise (TableBusy if BUSY.search(text) else MigrationFailed)(text)


def _with_settings(url: str) -> str:
    parts = urlsplit(url)
    query = {"sslmode": "prefer", **dict(parse_qsl(parts.query)), **SESSION_SETTINGS}
    return urlunsplit(parts._replace(query=urlencode(query)))
