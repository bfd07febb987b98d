"""Idempotency keys: the first answer to a key is stored with its effect, in one transaction, and given again.

Table: idempotency_keys (key text primary key, fingerprint bytea, answer json, created_at timestamptz).
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy
from pydantic import BaseModel

CLAIM_KEY = """
INSERT INTO idempotency_keys (key, fingerprint) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING RETURNING key
"""

STORE_ANSWER = "UPDATE idempotency_keys SET answer = $2 WHERE key = $1"

STORED_ANSWERS = "SELECT key, fingerprint, answer FROM idempotency_keys WHERE key = ANY($1::text[])"

DELETE_EXPIRED = """
DELETE FROM idempotency_keys WHERE key IN (
    SELECT key FROM idempotency_keys WHERE created_at < now() - $1::interval ORDER BY created_at LIMIT $2
)
"""

CLEANING_BATCH = 5_000


class KeyReused(Exception):
    """An idempotency key came with another request than the first time."""

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used with another body; use a new key for a new request")


class KeyExpired(Exception):
    """An idempotency key was deleted after its retention, while a request with it was carried out. A retry succeeds."""

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key has just expired; try again")


class KeyBusy(Exception):
    """Another transaction is claiming an idempotency key, and did not end in time. A later retry succeeds."""

    def __init__(self) -> None:
        super().__init__("another request with this Idempotency-Key is being carried out; try again")


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What the first request with a key was, and what it was answered."""

    fingerprint: bytes
    answer: Any

    def to(self, fingerprint: bytes) -> Any:
        """The answer to a request with the same key.

        Raises:
            KeyReused: it is another request than the first one.
        """
        if fingerprint != self.fingerprint:
            raise KeyReused
        return self.answer


def fingerprint(body: BaseModel) -> bytes:
    """A hash of what a body says. Spacing and the order of its fields make no difference."""
    return hashlib.sha256(body.model_dump_json().encode()).digest()


async def claim(connection: PoolConnectionProxy, key: str, fingerprint: bytes) -> bool:
    """Claims a key in the caller's transaction; False if it was claimed before.

    If another transaction is claiming it, this waits for its end.
    """
    return await connection.fetchval(CLAIM_KEY, key, fingerprint) is not None


async def store(connection: PoolConnectionProxy, key: str, answer: Any) -> None:
    """Stores the answer to a claimed key, in the transaction that claimed it."""
    await connection.execute(STORE_ANSWER, key, orjson.dumps(answer).decode())


async def stored_answers(connection: PoolConnectionProxy, keys: Collection[str]) -> dict[str, StoredAnswer]:
    """The answers to keys that were claimed before, by key. A key that was deleted meanwhile is left out."""
    rows = await connection.fetch(STORED_ANSWERS, list(keys))
    return {row["key"]: StoredAnswer(row["fingerprint"], orjson.loads(row["answer"])) for row in rows}


async def delete_expired(pool: asyncpg.Pool, retention: timedelta, batch: int = CLEANING_BATCH) -> int:
    """Deletes keys older than the retention, `batch` at most, and returns how many."""
    status = await pool.execute(DELETE_EXPIRED, retention, batch)
    return int(status.removeprefix("DELETE "))
