"""`Idempotency-Key`: the first answer is kept in the transaction that it tells of, and given again.

Needs the table

    idempotency_keys (key text primary key, fingerprint bytea, answer json, created_at timestamptz)
"""

import hashlib
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import asyncpg
import orjson
from pydantic import BaseModel

from web.problems import Problem

CLAIM_KEY = """
INSERT INTO idempotency_keys (key, fingerprint) VALUES ($1, $2)
ON CONFLICT (key) DO NOTHING RETURNING key
"""

KEPT_ANSWER = "SELECT fingerprint, answer FROM idempotency_keys WHERE key = $1"

KEEP_ANSWER = "UPDATE idempotency_keys SET answer = $2 WHERE key = $1"

DELETE_EXPIRED = """
DELETE FROM idempotency_keys WHERE key IN (
    SELECT key FROM idempotency_keys WHERE created_at < now() - $1::interval ORDER BY created_at LIMIT $2
)
"""


def fingerprint(body: BaseModel) -> bytes:
    """Tells bodies apart by what they say, not by their spacing."""
    return hashlib.sha256(body.model_dump_json().encode()).digest()


async def claim(connection: "asyncpg.pool.PoolConnectionProxy", key: str, body: BaseModel) -> Any | None:
    """Claims a key inside of the caller's transaction, or returns the first answer to it.

    A second request with the key waits here until the first one's transaction ends.

    Raises:
        Problem: 422, the key was used with another body.
    """
    if await connection.fetchval(CLAIM_KEY, key, fingerprint(body)):
        return None
    kept = await connection.fetchrow(KEPT_ANSWER, key)
    if kept is None or kept["fingerprint"] != fingerprint(body):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "this Idempotency-Key was used with another body; use a new key for a new request",
        )
    return orjson.loads(kept["answer"])


async def keep(connection: "asyncpg.pool.PoolConnectionProxy", key: str, answer: Any) -> None:
    """Keeps the answer to a claimed key, in the same transaction."""
    await connection.execute(KEEP_ANSWER, key, orjson.dumps(answer).decode())


async def delete_expired(pool: asyncpg.Pool, retention: timedelta, batch: int = 5_000) -> int:
    """Forgets keys older than the retention, `batch` at most, and returns how many."""
    status = await pool.execute(DELETE_EXPIRED, retention, batch)
    return int(status.removeprefix("DELETE "))
