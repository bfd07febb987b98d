"""What is durable, as the running servers tell it: without it the figures would be those of another system."""

import asyncio
import re
from pathlib import Path

import psutil
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from bench.rig import Rig
from infra.native import Stack
from messaging.streams import EVENTS, request
from operations.sources import TOPICS
from services.history.views import DURABLE
from storage.postgres import SERVER_SETTINGS

ANSWER_SECONDS = 30.0

WANTED = {
    "PostgreSQL fsync": "on",
    "PostgreSQL synchronous_commit": "on",
    "PostgreSQL full_page_writes": "on",
    "Kafka flush.messages": "1",
    "Kafka min.insync.replicas": "1",
    "Connect producer.acks": "all",
    "Connect producer.enable.idempotence": "true",
    "JetStream storage": "file",
    "JetStream sync_interval": "always",
    "MongoDB write concern w": "majority",
    "MongoDB write concern j": "True",
}
"""One broker: all in-sync replicas are it, and flush.messages=1 puts each record on its disk before it answers."""


class GuaranteeMissing(Exception):
    """A server trades durability for speed."""


async def check(rig: Rig) -> dict[str, str]:
    """The settings as they are.

    Raises:
        GuaranteeMissing: names those that are not as they have to be.
    """
    found = {
        **await _postgres(rig),
        **await asyncio.to_thread(_kafka, rig),
        **_connect(rig.stack),
        "JetStream storage": (await request(rig.nats, f"STREAM.INFO.{EVENTS}"))["config"]["storage"],
        "JetStream sync_interval": _nats_sync(rig.stack),
        **{f"MongoDB write concern {name}": str(value) for name, value in DURABLE.document.items()},
    }
    wrong = [f"{name} is {found.get(name)}, not {value}" for name, value in WANTED.items() if found.get(name) != value]
    if wrong:
        raise GuaranteeMissing("; ".join(wrong))
    return found


async def _postgres(rig: Rig) -> dict[str, str]:
    """As a service's role sees them, with what the services set for their own connections."""
    names = [name.removeprefix("PostgreSQL ") for name in WANTED if name.startswith("PostgreSQL")]
    shown = {name: str(await rig.orders.fetchval(f"SHOW {name}")) for name in names}
    return {f"PostgreSQL {name}": value for name, value in (shown | SERVER_SETTINGS).items() if name in names}


def _kafka(rig: Rig) -> dict[str, str]:
    """The broker's word; of the event topics, whichever is weakest."""
    admin = AdminClient(rig.settings.kafka_login())
    asked = [ConfigResource(ResourceType.TOPIC, topic) for topic in TOPICS]
    answers = [future.result(ANSWER_SECONDS) for future in admin.describe_configs(asked).values()]
    names = [name.removeprefix("Kafka ") for name in WANTED if name.startswith("Kafka")]
    return {f"Kafka {name}": " and ".join({answer[name].value for answer in answers}) for name in names}


def _connect(stack: Stack) -> dict[str, str]:
    """From the file that the running process was started with."""
    text = _argument(stack, "connect", r"connect.*\.properties$").read_text(encoding="utf-8")
    values = dict(re.findall(r"^([\w.]+)=(.*)$", text, re.MULTILINE))
    return {f"Connect {name}": values.get(name, "") for name in ("producer.acks", "producer.enable.idempotence")}


def _nats_sync(stack: Stack) -> str:
    """From the file that the running process was started with: the server tells it to its system account only."""
    text = _argument(stack, "nats", r"\.conf$").read_text(encoding="utf-8")
    return next(iter(re.findall(r"^\s*sync_interval:\s*\"?(\w+)", text, re.MULTILINE)), "")


def _argument(stack: Stack, component: str, pattern: str) -> Path:
    return next(Path(text) for text in psutil.Process(stack.pid(component)).cmdline() if re.search(pattern, text))
