"""Noticing that Kafka lost the events, and having the outboxes sent again.

A topic that was made anew has another id under the same name. The ids that the outboxes were sent into are noted in
PostgreSQL, the one part that is never wiped: whoever notices, and however often it is interrupted, the difference
stays until the outboxes have been sent again.
"""

import asyncio

import asyncpg

from infra.provision import connectors, kafka
from infra.provision.postgres import CONNECT_TIMEOUT_SECONDS
from infra.provision.settings import Settings

CREATE = "CREATE TABLE IF NOT EXISTS topics_sent_into (name text PRIMARY KEY, id text NOT NULL)"
NOTED = "SELECT name, id FROM topics_sent_into"
NOTE = """
INSERT INTO topics_sent_into (name, id) SELECT * FROM unnest($1::text[], $2::text[])
ON CONFLICT (name) DO UPDATE SET id = excluded.id
"""


async def resend(settings: Settings) -> list[str]:
    """Send the outboxes again if a topic with events is not the one that they were sent into; answers what was done.

    A topic that was never noted is new, and so are the connectors: they begin with the whole outbox by themselves.
    """
    present = await asyncio.to_thread(kafka.event_topic_ids, settings)
    connection = await asyncpg.connect(settings.postgres_url.get_secret_value(), timeout=CONNECT_TIMEOUT_SECONDS)
    try:
        await connection.execute(CREATE)
        noted = {row["name"]: row["id"] for row in await connection.fetch(NOTED)}
        changes: list[str] = []
        if must_resend(noted, present):
            changes = await asyncio.to_thread(connectors.resend, settings)
        if noted != present:
            await connection.execute(NOTE, list(present), list(present.values()))
        return changes
    finally:
        await connection.close()


def must_resend(noted: dict[str, str], present: dict[str, str]) -> bool:
    """Whether a topic that events were sent into is gone or another one by now."""
    return any(present.get(name) != topic_id for name, topic_id in noted.items())
