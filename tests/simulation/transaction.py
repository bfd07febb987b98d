"""A transaction on a simulated PostgreSQL database: its life, and the statements that repositories are made of."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import asyncpg

from storage.idempotency import StoredAnswer
from storage.outbox import OutboxRow
from tests.simulation.postgres import Database, Key
from tests.simulation.process import Life

T = TypeVar("T")

KEYS = "idempotency_keys"


class Transaction:
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

    @property
    def process(self) -> str:
        """The name of the process that runs it."""
        return self._life.name

    async def __aenter__(self) -> Self:
        await self._life.io()
        self._database.begin(self)
        self._life.on_end(self._lose_client)
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

    def _lose_client(self) -> None:
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

    # Statements that every service has

    async def append(self, rows: Sequence[OutboxRow]) -> None:
        """As storage.outbox.append."""
        if rows:

            async def effect() -> None:
                self.outbox.extend(rows)

            await self._statement(effect)

    async def stored_answers(self, keys: Collection[str]) -> dict[str, StoredAnswer]:
        """As storage.idempotency.stored_answers."""
        return await self._query(lambda: self._see_all(KEYS, keys))

    async def _claim(self, key: str, row: StoredAnswer) -> bool:
        """INSERT INTO idempotency_keys ... ON CONFLICT DO NOTHING; whether the row was inserted."""
        await self._database.lock(self, (KEYS, key))
        if self._see((KEYS, key)) is not None:
            self._database.unlock(self, (KEYS, key))
            self._database.world.struck("key used before")
            return False
        self.writes[KEYS, key] = row
        return True

    # What statements are made of

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

    async def _query(self, query: Callable[[], T]) -> T:
        """A statement that waits for no lock."""

        async def effect() -> T:
            return query()

        return await self._statement(effect)

    def _see(self, key: Key) -> Any:
        return self.writes[key] if key in self.writes else self._database.tables.get(key)

    def _see_all(self, table: str, keys: Iterable[Any]) -> dict[Any, Any]:
        seen = {key: self._see((table, key)) for key in keys}
        return {key: row for key, row in seen.items() if row is not None}

    def _next_keys(self, table: str, after: int, limit: int) -> list[int]:
        """Primary keys above `after` of the rows that this transaction sees, in their order."""
        written = {key for name, key in self.writes if name == table}
        return sorted(key for key in {*self._database.rows(table), *written} if key > after)[:limit]

    async def _lock_all(self, table: str, keys: Iterable[Any]) -> dict[Any, Any]:
        """SELECT ... ORDER BY id FOR UPDATE: the rows of the statement's start, as they are once locked.

        FOR SHARE is the same here. In PostgreSQL, two transactions may share such a lock.
        """
        wanted = list(keys)
        visible = sorted(self._see_all(table, wanted))
        if any(self._database.is_hidden((table, key)) for key in wanted):
            self._database.world.struck(f"row of {table} looked for before it was visible")
        for key in visible:
            await self._database.lock(self, (table, key))
        return self._see_all(table, visible)

    async def _insert(self, key: Key, row: Any) -> None:
        await self._database.lock(self, key)
        if self._see(key) is not None:
            self._database.world.struck("unique violation")
            raise asyncpg.UniqueViolationError(f"duplicate key {key}")
        self.writes[key] = row
        self._database.created_at[key] = self._database.world.now

    async def _update(self, key: Key, change: Callable[[Any], Any]) -> None:
        await self._database.lock(self, key)
        present = self._see(key)
        if present is not None:
            self.writes[key] = change(present)
