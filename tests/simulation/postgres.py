"""A PostgreSQL database as the services see it: READ COMMITTED, row locks that wait, one write-ahead log.

What is kept of the real one, because the saga depends on it:

- a statement sees what was committed before it, and what its own transaction wrote;
- a row lock, an update, and an insert with a unique key wait for the transaction that was there
  first; a deadlock is ended by failing one of its transactions;
- a commit is in the log first, where logical decoding finds it, and visible to others an instant later;
- a crash loses the transactions that are not in the log, and keeps all others, whether or not their
  client has received the answer; a lost client rolls its transaction back;
- an identity value is used up, even by a transaction that rolls back.

The CHECK constraints are left out on purpose: they are the last line of defence, and the code has to
keep the invariants without them.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from storage.outbox import OutboxRow
from tests.simulation.clock import Signal
from tests.simulation.process import Life
from tests.simulation.world import World

if TYPE_CHECKING:
    from tests.simulation.transaction import Transaction

R = TypeVar("R")

DEADLOCK_TIMEOUT_SECONDS = 1.0
LOCK_TIMEOUT_SECONDS = 10.0
"""As in storage/postgres.py."""

Key = tuple[str, Any]
"""A table's name and a primary key."""

OnCommit = Callable[[Iterable[Key]], None]
"""Is called with the keys that a commit has just made visible."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An outbox row in the write-ahead log."""

    event_id: str
    row: OutboxRow
    transaction: "Transaction" = field(repr=False)


class Database:
    """One database; `tables` holds what is committed and visible.

    Args:
        on_commit: checks each commit.
    """

    def __init__(self, name: str, world: World, on_commit: OnCommit | None = None) -> None:
        self.name = name
        self.world = world
        self.up = True
        self.tables: dict[Key, Any] = {}
        self.log: list[LogEntry] = []
        self.log_grew = Signal()
        self.slot_exists = False
        self.created_at: dict[Key, float] = {}
        self._on_commit = on_commit
        self._locks: dict[Key, Transaction] = {}
        self._open: dict[Transaction, None] = {}
        self._identities: dict[str, int] = {}
        self._event_ids = 0

    def rows(self, table: str) -> dict[Any, Any]:
        """A table as everyone sees it, by primary key."""
        return {key: row for (name, key), row in self.tables.items() if name == table}

    def newest(self, key: Key) -> Any:
        """A row as its last commit in the log left it, visible already or not."""
        hidden = [t.writes[key] for t in self._open if t.durable and key in t.writes]
        return hidden[-1] if hidden else self.tables.get(key)

    def is_hidden(self, key: Key) -> bool:
        """Whether a row is committed in the log, and not visible yet."""
        return key not in self.tables and self.newest(key) is not None

    def check(self) -> None:
        if not self.up:
            raise ConnectionRefusedError(f"{self.name} is down")

    async def read(self, life: Life, query: Callable[[], R]) -> R:
        """One statement of a process outside of any transaction."""
        await life.io()
        self.check()
        found = query()
        await life.io()
        self.check()
        return found

    def begin(self, transaction: "Transaction") -> None:
        self.check()
        self._open[transaction] = None

    def next_identity(self, table: str) -> int:
        self._identities[table] = self._identities.get(table, 0) + 1
        return self._identities[table]

    # Locks

    def is_locked(self, key: Key) -> bool:
        return key in self._locks

    async def lock(self, transaction: "Transaction", key: Key) -> None:
        """Waits until no other open transaction holds the key, and holds it."""
        waited = 0.0
        while (holder := self._locks.setdefault(key, transaction)) is not transaction:
            self.world.struck(f"lock waited for in {key[0]}")
            await self._wait(transaction, holder)
            waited += DEADLOCK_TIMEOUT_SECONDS
            if waited > LOCK_TIMEOUT_SECONDS:
                raise asyncpg.LockNotAvailableError("canceling statement due to lock timeout")

    def unlock(self, transaction: "Transaction", key: Key) -> None:
        """Gives back a lock under which nothing was written."""
        if key not in transaction.writes:
            del self._locks[key]

    async def _wait(self, transaction: "Transaction", holder: "Transaction") -> None:
        transaction.waits_for = holder
        try:
            async with asyncio.timeout(DEADLOCK_TIMEOUT_SECONDS):
                await holder.over.wait()
        except TimeoutError:
            if _is_deadlocked(transaction):
                self.world.struck("deadlock ended by PostgreSQL")
                raise asyncpg.DeadlockDetectedError("deadlock detected") from None
        finally:
            transaction.waits_for = None
        transaction.check()

    # Ends of transactions

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
        """On request, or when the client is gone; a transaction that is in the log is committed."""
        if not transaction.durable and not transaction.over.is_set():
            self._end(transaction)

    def _end(self, transaction: "Transaction") -> None:
        self._open.pop(transaction, None)
        for key in [key for key, holder in self._locks.items() if holder is transaction]:
            del self._locks[key]
        transaction.over.set()

    # Faults

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


def _is_deadlocked(start: "Transaction") -> bool:
    waiting = start.waits_for
    seen: list[Transaction] = []
    while waiting is not None and waiting not in seen:
        if waiting is start:
            return True
        seen.append(waiting)
        waiting = waiting.waits_for
    return False
