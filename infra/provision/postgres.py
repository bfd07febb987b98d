"""PostgreSQL's roles, databases and privileges: a database, a login role and a replication role for each service.

The migrations (infra/provision/schema.py) create the tables and the publication, and let the replication role read
the outbox.
"""

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import asyncpg

from infra.provision.scram import verifier
from infra.provision.settings import SERVICES, Settings

CONNECT_TIMEOUT_SECONDS = 5.0


class Role(NamedTuple):
    """A role that has to exist."""

    name: str
    password: str
    replicates: bool

    @property
    def attributes(self) -> str:
        return "LOGIN REPLICATION" if self.replicates else "LOGIN NOREPLICATION"


async def reconcile(settings: Settings) -> list[str]:
    """Creates what is missing and restores changed privileges; returns what was changed.

    A role gets its password when it is created; the stack never changes it.
    """
    connection = await asyncpg.connect(settings.postgres_url.get_secret_value(), timeout=CONNECT_TIMEOUT_SECONDS)
    try:
        return [change for service in SERVICES for change in await _reconcile_service(connection, settings, service)]
    finally:
        await connection.close()


async def _reconcile_service(connection: asyncpg.Connection, settings: Settings, service: str) -> list[str]:
    database = f"{service}_service"
    password = unquote(urlsplit(settings.database_url(service)).password or "")
    roles = [
        Role(database, password, replicates=False),
        Role(f"{database}_cdc", settings.cdc_password(service), replicates=True),
    ]
    changes = [change for role in roles for change in await _reconcile_role(connection, role)]
    changes += await _reconcile_timeout(connection, f"{database}_cdc")
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", database):
        await connection.execute(f"CREATE DATABASE {database} OWNER {database}")
        changes.append(f"created the database {database}")
    if await connection.fetchval("SELECT has_database_privilege('public', $1, 'CONNECT')", database):
        # By default every role may connect to every database.
        await connection.execute(f"REVOKE CONNECT, TEMPORARY ON DATABASE {database} FROM PUBLIC")
        changes.append(f"revoked CONNECT on {database} from PUBLIC")
    for role in roles:
        if not await connection.fetchval("SELECT has_database_privilege($1, $2, 'CONNECT')", role.name, database):
            await connection.execute(f"GRANT CONNECT ON DATABASE {database} TO {role.name}")
            changes.append(f"granted CONNECT on {database} to {role.name}")
    return changes


async def _reconcile_role(connection: asyncpg.Connection, role: Role) -> list[str]:
    found = await connection.fetchrow("SELECT rolcanlogin, rolreplication FROM pg_roles WHERE rolname = $1", role.name)
    if found is None:
        # A role's password cannot be a query parameter. The verifier is base64 and needs no quoting.
        await connection.execute(f"CREATE ROLE {role.name} {role.attributes} PASSWORD '{verifier(role.password)}'")
        return [f"created the role {role.name}"]
    if (found["rolcanlogin"], found["rolreplication"]) != (True, role.replicates):
        await connection.execute(f"ALTER ROLE {role.name} {role.attributes}")
        return [f"restored the attributes of the role {role.name}"]
    return []


NO_IDLE_TIMEOUT = "idle_in_transaction_session_timeout=0"

ROLE_SETTINGS = """
SELECT coalesce(setconfig, '{}') FROM pg_db_role_setting WHERE setrole = $1::regrole AND setdatabase = 0
"""


async def _reconcile_timeout(connection: asyncpg.Connection, cdc_role: str) -> list[str]:
    # Debezium's snapshot is one transaction, idle while rows go to Kafka. With the server's time-out, an outbox that
    # takes longer would begin its snapshot again without end.
    if NO_IDLE_TIMEOUT in (await connection.fetchval(ROLE_SETTINGS, cdc_role) or []):
        return []
    await connection.execute(f"ALTER ROLE {cdc_role} SET {NO_IDLE_TIMEOUT}")
    return [f"lifted the idle time-out of {cdc_role}"]


async def drop_lost_slots(settings: Settings) -> list[str]:
    """Drops the outbox slots that the server has invalidated because they held back more than max_slot_wal_keep_size.

    Debezium cannot read an invalidated slot, and its task fails. Without the slot it creates a new one and sends the
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
