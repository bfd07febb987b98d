"""A database and a login role for each service, and a replication role that may read nothing but its outbox.

The migrations (infra/provision/schema.py) create the tables and the publication, and let the replication role read
the outbox.
"""

from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg

from infra.provision.settings import SERVICES, Settings

CONNECT_TIMEOUT_SECONDS = 5.0


async def reconcile(settings: Settings) -> list[str]:
    """Create what is missing; answers what was created. Passwords are set once: the stack never changes them."""
    connection = await asyncpg.connect(settings.postgres_url.get_secret_value(), timeout=CONNECT_TIMEOUT_SECONDS)
    try:
        return [change for service in SERVICES for change in await _reconcile_service(connection, settings, service)]
    finally:
        await connection.close()


async def _reconcile_service(connection: "asyncpg.Connection[Any]", settings: Settings, service: str) -> list[str]:
    database = f"{service}_service"
    password = unquote(urlsplit(settings.database_url(service)).password or "")
    changes = []
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", database):
        await connection.execute(f"CREATE ROLE {database} LOGIN PASSWORD {_literal(password)}")
        changes.append(f"role {database}")
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", f"{database}_cdc"):
        secret = _literal(settings.cdc_password(service))
        await connection.execute(f"CREATE ROLE {database}_cdc LOGIN REPLICATION PASSWORD {secret}")
        changes.append(f"role {database}_cdc")
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", database):
        await connection.execute(f"CREATE DATABASE {database} OWNER {database}")
        changes.append(f"database {database}")
    if await connection.fetchval("SELECT has_database_privilege('public', $1, 'CONNECT')", database):
        # By default every role may enter every database.
        await connection.execute(f"REVOKE CONNECT, TEMPORARY ON DATABASE {database} FROM PUBLIC")
    if not await connection.fetchval("SELECT has_database_privilege($1, $2, 'CONNECT')", f"{database}_cdc", database):
        await connection.execute(f"GRANT CONNECT ON DATABASE {database} TO {database}_cdc")
    return changes


def _literal(text: str) -> str:
    """A quoted SQL string; role passwords cannot be query parameters."""
    return "'" + text.replace("'", "''") + "'"


async def drop_lost_slots(settings: Settings) -> list[str]:
    """Drop the outbox slots that the server gave up (they held more WAL back than max_slot_wal_keep_size).

    Such a slot can never be read again and stops its connector; without it the connector makes a new one and sends the
    outbox again from a snapshot.
    """
    connection = await asyncpg.connect(settings.postgres_url.get_secret_value(), timeout=CONNECT_TIMEOUT_SECONDS)
    try:
        lost = await connection.fetch(
            "SELECT slot_name FROM pg_replication_slots "
            "WHERE wal_status = 'lost' AND NOT active AND slot_name = ANY($1)",
            [f"{service}_outbox" for service in SERVICES],
        )
        for row in lost:
            await connection.execute("SELECT pg_drop_replication_slot($1)", row["slot_name"])
        return [f"dropped the lost slot {row['slot_name']}" for row in lost]
    finally:
        await connection.close()
