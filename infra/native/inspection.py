"""Reads the settings of a stack's running servers, by the names that infra/guarantees.py uses.

Each server tells its own settings where it can. Two it does not tell: NATS shows sync_interval to its system account
only, and Connect shows nothing of its worker. Those are read from the file that the running process was started with.
"""

import asyncio
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import nats
import psutil
from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from pymongo import MongoClient

from infra.native.stack import Stack
from infra.provision.connectors import connect_api, declared_connectors
from infra.provision.kafka import declared_topics
from infra.provision.settings import SERVICES, Settings
from messaging.streams import DEAD_LETTERS, EVENTS, consumer_infos, request
from services.history.views import Views
from storage.postgres import open_pool

ANSWER_SECONDS = 30.0
BROKER_ID = "1"
POSTGRES_SETTINGS = (
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_level",
    "max_slot_wal_keep_size",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
)

Values = dict[str, str]


async def read(stack: Stack, settings: Settings) -> Values:
    """All settings by name."""
    found: Values = {}
    for service in SERVICES:
        found |= await _postgres(settings, service)
    found |= await asyncio.to_thread(_kafka, settings)
    found |= await asyncio.to_thread(_connectors, settings)
    found |= _connect(stack) | await _nats(settings) | {"NATS sync_interval": _sync_interval(stack)}
    return found | await asyncio.to_thread(_mongo, settings) | _write_concern(settings)


async def _postgres(settings: Settings, service: str) -> Values:
    """As the service's own connections see them: its role, with the settings that its pool sends."""
    async with open_pool(settings.database_url(service), "guarantees") as pool:
        found = {name: str(await pool.fetchval(f"SHOW {name}")) for name in POSTGRES_SETTINGS}
        found["slot"] = await _slots(pool)
        found["publication"] = await _publications(pool)
    return {f"PostgreSQL {service}_service {name}": value for name, value in found.items()}


async def _slots(pool: asyncpg.Pool) -> str:
    rows = await pool.fetch(
        "SELECT slot_name, slot_type, plugin, CASE WHEN temporary THEN 'temporary' ELSE 'permanent' END "
        "FROM pg_replication_slots WHERE database = current_database()"
    )
    return ", ".join(" ".join(row.values()) for row in rows)


async def _publications(pool: asyncpg.Pool) -> str:
    rows = await pool.fetch(
        "SELECT pubname, concat_ws('+', CASE WHEN pubinsert THEN 'insert' END, CASE WHEN pubupdate THEN 'update' END, "
        "CASE WHEN pubdelete THEN 'delete' END, CASE WHEN pubtruncate THEN 'truncate' END), "
        "schemaname || '.' || tablename FROM pg_publication JOIN pg_publication_tables USING (pubname)"
    )
    return ", ".join(" ".join(row.values()) for row in rows)


def _kafka(settings: Settings) -> Values:
    """The options of the declared topics and of the broker; the numbers of partitions and replicas."""
    admin = AdminClient(settings.kafka_login())
    names = [topic.name for topic in declared_topics()]
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    found: Values = {}
    for resource, answer in admin.describe_configs(resources).items():
        options = answer.result(ANSWER_SECONDS)
        found |= {f"topic {resource.name} {name}": option.value for name, option in options.items()}
    for name, described in admin.describe_topics(TopicCollection(names)).items():
        partitions = described.result(ANSWER_SECONDS).partitions
        found[f"topic {name} partitions"] = str(len(partitions))
        found[f"topic {name} replicas"] = str(min(len(partition.replicas) for partition in partitions))
    [broker] = admin.describe_configs([ConfigResource(ResourceType.BROKER, BROKER_ID)]).values()
    return found | {f"broker {name}": option.value for name, option in broker.result(ANSWER_SECONDS).items()}


def _connectors(settings: Settings) -> Values:
    found: Values = {}
    with connect_api(settings) as api:
        for connector in declared_connectors():
            config = api.get(f"/connectors/{connector.name}/config").raise_for_status().json()
            found |= {f"connector {connector.name} {option}": value for option, value in config.items()}
    return found


def _connect(stack: Stack) -> Values:
    """Of the worker: start-connect.sh writes this file at each start, and the JVM reads it."""
    text = _argument(stack, "connect", r"connect.*\.properties$").read_text(encoding="utf-8")
    found = {f"Connect {name}": value for name, value in re.findall(r"^([\w.]+)=(.*)$", text, re.MULTILINE)}
    return found | {"Connect records have a producer id": str(_records_have_producer_ids(stack)).lower()}


def _records_have_producer_ids(stack: Stack) -> bool:
    """Whether the newest batch of each topic that only Debezium writes has one; False if there is no batch yet."""
    folders = [*stack.layout.data.glob("kafka/__debezium-heartbeat.*"), *stack.layout.data.glob("kafka/events.probe-*")]
    newest = [list(_producer_ids(folder))[-1:] for folder in folders]
    found = [producer_id for ids in newest for producer_id in ids]
    return bool(found) and min(found) >= 0


def _producer_ids(partition: Path) -> Iterator[int]:
    """The producer id of each batch in a partition's log (record batch format 2); -1 is none."""
    for segment in sorted(partition.glob("*.log")):
        data, place = segment.read_bytes(), 0
        while place + 51 <= len(data):
            (length,) = struct.unpack_from(">i", data, place + 8)
            (producer_id,) = struct.unpack_from(">q", data, place + 43)
            yield producer_id
            place += 12 + length


async def _nats(settings: Settings) -> Values:
    client = await nats.connect(settings.nats_url, token=settings.nats_token.get_secret_value(), allow_reconnect=False)
    try:
        found = {"NATS max_payload": str(client.max_payload)}
        for stream in (EVENTS, DEAD_LETTERS):
            found |= _options(f"stream {stream}", (await request(client, f"STREAM.INFO.{stream}"))["config"])
        for info in await consumer_infos(client, EVENTS):
            # The history's consumers are named after their generations.
            found |= _options(f"consumer {info['name'].partition('_')[0]}", info["config"])
        return found
    finally:
        await client.close()


def _options(prefix: str, config: dict[str, Any]) -> Values:
    return {f"{prefix} {name}": str(value) for name, value in config.items()}


def _sync_interval(stack: Stack) -> str:
    file = _argument(stack, "nats", r"\.conf$")
    if file.stat().st_mtime > psutil.Process(stack.pid("nats")).create_time():
        return "unknown: the file is newer than the process"
    found = re.search(r"^\s*sync_interval:\s*\"?(\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else "not set"


def _argument(stack: Stack, component: str, pattern: str) -> Path:
    """The argument of the running process that is a path of this pattern."""
    return next(Path(text) for text in psutil.Process(stack.pid(component)).cmdline() if re.search(pattern, text))


def _mongo(settings: Settings) -> Values:
    with MongoClient[dict[str, Any]](settings.mongodb_admin_url.get_secret_value()) as client:
        engine = client.admin.command("serverStatus")["storageEngine"]
        storage = client.admin.command("getCmdLineOpts")["parsed"].get("storage", {})
    persistent = "persistent" if engine["persistent"] else "in memory"
    # Journaling is on unless it is switched off; it cannot be since MongoDB 6.1.
    journaled = "journaled" if storage.get("journal", {}).get("enabled", True) else "not journaled"
    return {"MongoDB storage engine": f"{engine['name']} {persistent} {journaled}"}


def _write_concern(settings: Settings) -> Values:
    """Of the client that the history service writes the view with."""
    views = Views(settings.mongodb_url.get_secret_value())
    try:
        document = views.generation("any").customers.write_concern.document
        return {f"MongoDB write concern {name}": str(value) for name, value in document.items()}
    finally:
        views.close()
