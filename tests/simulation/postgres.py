"""A PostgreSQL database as the services see it: READ COMMITTED, row locks that wait, one write-ahead log.

Kept from the real one because the saga leans on it:

- a statement sees what was committed before it, and what its own transaction wrote;
- a row lock, an update, and an insert with a unique key wait for the transaction that was there
  first; a circle of waiting transactions is broken by failing one of them;
- a commit is in the log first, where logical decoding finds it, and visible to others an instant later;
- a crash loses the transactions that are not in the log, and keeps all others, whether or not their
  client has heard so; a lost client rolls its transaction back;
- an identity value is taken for good, even by a transaction that rolls back.

The CHECK constraints are left out on purpose: they are the last line of defence, and the code has to
keep the invariants without them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

import asyncpg

from storage.outbox import OutboxRow
from tests.simulation.clock import Signal
from tests.simulation.process import Life
from tests.simulation.world import World

T = TypeVar("T")

DEADLOCK_TIMEOUT_SECONDS = 1.0
LOCK_TIMEOUT_SECONDS = 10.0
"""As in messaging/postgres.py."""

Key = tuple[str, Any]
"""A table's name and a primary key."""

OnCommit = Callable[[Iterable[Key]], None]
"""Told of the keys that a commit has just made visible."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An outbox row in the write-ahead log."""

    event_id: str
    row: OutboxRow
    transaction: "Transaction" = field(repr=False)


class Database:
    """One database; `tables` holds what is committed and visible.

    Args:
        on_commit: looks at each commit.
    """

    def __init__(self, name: str, world: World, on_commit: OnCommit | None = None) -> None:
        self.name = name
        self.world = world
        self.up = True
        self.tables: dict[Key, Any] = {}
        self.log: list[LogEntry] = []
        self.log_grew = Signal()
        self.slot_exists = False
        self.born: dict[Key, float] = {}
        """When a row was inserted: created_at."""
        self._on_commit = on_commit
        self._locks: dict[Key, Transaction] = {}
        self._open: dict[Transaction, None] = {}
        self._identities: dict[str, int] = {}
        self._event_ids = 0

    def rows(self, table: str) -> dict[Any, Any]:
        """A table as anybody sees it, by primary key."""
        return {key: row for (name, key), row in self.tables.items() if name == table}

    def begin(self, transaction: "Transaction") -> None:
        if not self.up:
            raise ConnectionRefusedError(f"{self.name} is down")
        self._open[transaction] = None

    def next_identity(self, table: str) -> int:
        self._identities[table] = self._identities.get(table, 0) + 1
        return self._identities[table]

    def is_locked(self, key: Key) -> bool:
        return key in self._locks

    async def lock(self, transaction: "Transaction", key: Key) -> None:
        """Waits until no other open transaction holds the key, and holds it."""
        waited = 0.0
        while (holder := self._locks.setdefault(key, transaction)) is not transaction:
            self.world.struck("lock waited for")
            await self._wait(transaction, holder)
            waited += DEADLOCK_TIMEOUT_SECONDS
            if waited > LOCK_TIMEOUT_SECONDS:
                raise asyncpg.LockNotAvailableError("canceling statement due to lock timeout")

    async def wait_for_writer(self, transaction: "Transaction", key: Key) -> None:
        """Waits until no other open transaction holds the key, without holding it."""
        await self.lock(transaction, key)
        if key not in transaction.writes:
            del self._locks[key]

    async def _wait(self, transaction: "Transaction", holder: "Transaction") -> None:
        transaction.waits_for = holder
        try:
            async with asyncio.timeout(DEADLOCK_TIMEOUT_SECONDS):
                await holder.over.wait()
        except TimeoutError:
            if _in_a_circle(transaction):
                self.world.struck("deadlock broken by PostgreSQL")
                raise asyncpg.DeadlockDetectedError("deadlock detected") from None
        finally:
            transaction.waits_for = None
        transaction.check()

    def write_to_log(self, transaction: "Transaction") -> None:
        """The instant of the commit. What follows happens whether or not the client still lives."""
        for row in transaction.outbox:
            self._event_ids += 1
            event_id = f"{self.name}-{self._event_ids}"
            self.log.append(LogEntry(event_id, row, transaction))
            self.world.note(self.name, "commits %s as %s: %s", row.type, event_id, row.payload.decode())
        transaction.durable = True
        self.log_grew.fire()
        asyncio.get_running_loop().call_later(self.world.delay(), self._show, transaction)

    def _show(self, transaction: "Transaction") -> None:
        if transaction.over.is_set():
            return
        self.tables.update(transaction.writes)
        self._end(transaction)
        if self._on_commit:
            self._on_commit(transaction.writes)

    def roll_back(self, transaction: "Transaction") -> None:
        """What the server does when it is told to, or when the client is gone; a durable one is committed."""
        if not transaction.durable and not transaction.over.is_set():
            self._end(transaction)

    def _end(self, transaction: "Transaction") -> None:
        self._open.pop(transaction, None)
        for key in [key for key, holder in self._locks.items() if holder is transaction]:
            del self._locks[key]
        transaction.over.set()

    def crash(self) -> None:
        self.world.note(self.name, "crashes")
        self.up = False
        for transaction in list(self._open):
            transaction.broken = True
            if transaction.durable:
                self.world.struck("database crashed between commit and its answer")
                self._show(transaction)
            else:
                self.world.struck("database crashed in a transaction")
                self.roll_back(transaction)

    def start(self) -> None:
        self.up = True
        self.world.note(self.name, "is up again")


def _in_a_circle(start: "Transaction") -> bool:
    waiting = start.waits_for
    seen: list[Transaction] = []
    while waiting is not None and waiting not in seen:
        if waiting is start:
            return True
        seen.append(waiting)
        waiting = waiting.waits_for
    return False


class Transaction(AbstractAsyncContextManager["Transaction"]):
    """One connection's transaction; the services' own kinds add their statements.

    Each statement goes to the server and back: a crash can come before it took effect or after.
    """

    def __init__(self, database: Database, life: Life) -> None:
        self._database = database
        self._life = life
        self.writes: dict[Key, Any] = {}
        self.outbox: list[OutboxRow] = []
        self.durable = False
        self.broken = False
        self.failed = False
        self.over = asyncio.Event()
        self.waits_for: Transaction | None = None

    async def __aenter__(self) -> "Transaction":
        await self._life.io()
        self._database.begin(self)
        self._life.on_end(self._client_is_gone)
        await self._life.io()
        self.check()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            if not self._life.ended:
                self._database.roll_back(self)
            return
        await self._life.io()
        self.check()
        if self.failed:
            self._database.roll_back(self)  # the server answers COMMIT so, without an error
        else:
            self._database.write_to_log(self)
        await self.over.wait()
        await self._life.io()
        self.check()

    def _client_is_gone(self) -> None:
        if self.over.is_set():
            return
        if self.durable:
            self._database.world.struck("killed between commit and its answer")
        # The server notices when it next looks at the connection.
        loop = asyncio.get_running_loop()
        loop.call_later(self._database.world.delay(), self._database.roll_back, self)

    def check(self) -> None:
        if self.broken:
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    async def _statement(self, effect: Callable[[], Awaitable[T]]) -> T:
        await self._life.io()
        self.check()
        if self.failed:
            raise asyncpg.InFailedSQLTransactionError("current transaction is aborted")
        try:
            result = await effect()
        except asyncpg.PostgresError:
            self.failed = True
            raise
        await self._life.io()
        self.check()
        return result

    def _see(self, key: Key) -> Any:
        return self.writes[key] if key in self.writes else self._database.tables.get(key)

    def _see_all(self, table: str, keys: Iterable[Any]) -> dict[Any, Any]:
        seen = {key: self._see((table, key)) for key in keys}
        return {key: row for key, row in seen.items() if row is not None}

    async def _lock_all(self, table: str, keys: Iterable[Any]) -> dict[Any, Any]:
        """SELECT ... ORDER BY id FOR UPDATE: the rows of the statement's start, as they are once locked."""
        visible = sorted(self._see_all(table, keys))
        for key in visible:
            await self._database.lock(self, (table, key))
        return self._see_all(table, visible)

    async def _insert(self, key: Key, row: Any) -> None:
        await self._database.lock(self, key)
        if self._see(key) is not None:
            self._database.world.struck("unique violation")
            raise asyncpg.UniqueViolationError(f"duplicate key {key}")
        self.writes[key] = row
        self._database.born[key] = self._database.world.now

    async def _update(self, key: Key, change: Callable[[Any], Any]) -> None:
        await self._database.lock(self, key)
        present = self._see(key)
        if present is not None:
            self.writes[key] = change(present)

    async def append(self, rows: Sequence[OutboxRow]) -> None:
        """As storage.outbox.append."""
        if rows:

            async def effect() -> None:
                self.outbox.extend(rows)

            await self._statement(effect)
