"""Detects that an event topic was recreated, and has Debezium send the outboxes again into the new topic.

A recreated topic has a new id under the old name. PostgreSQL, the only engine that is never wiped, stores the ids of
the topics that the outboxes were sent into. The stored ids change only after the outboxes were sent again, so an
interrupted run is repeated.
"""

import asyncio

import asyncpg

from infra.provision import connectors, kafka
from infra.provision.postgres import CONNECT_TIMEOUT_SECONDS
from infra.provision.settings import Settings

CREATE = "CREATE TABLE IF NOT EXISTS topics_sent_into (name text PRIMARY KEY, id text NOT NULL)"
SELECT = "SELECT name, id FROM topics_sent_into"
STORE = """
INSERT INTO topics_sent_into (name, id) SELECT * FROM unnest($1::text[], $2::text[])
ON CONFLICT (name) DO UPDATE SET id = excluded.id
"""


async def reconcile(settings: Settings) -> list[str]:
    """Resnapshots the outboxes if an event topic was recreated; returns what was done.

    A topic without a stored id is new, and so are its connectors: they start with a snapshot by themselves.
    """
    present = await asyncio.to_thread(kafka.event_topic_ids, settings)
    connection = await asyncpg.connect(settings.postgres_url.get_secret_value(), timeout=CONNECT_TIMEOUT_SECONDS)
    try:
        await connection.execute(CREATE)
        stored = {row["name"]: row["id"] for row in await connection.fetch(SELECT)}
        changes: list[str] = []
        if needs_resnapshot(stored, present):
            changes = await asyncio.to_thread(connectors.resnapshot_outboxes, settings)
        if stored != present:
            await connection.execute(STORE, list(present), list(present.values()))
        return changes
    finally:
        await connection.close()


def needs_resnapshot(stored: dict[str, str], present: dict[str, str]) -> bool:
    """Whether a topic that the outboxes were sent into is missing or has another id; both map names to ids."""
    return any(present.get(name) != topic_id for name, topic_id in stored.items())
