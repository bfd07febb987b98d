"""Every setting of the servers that a guarantee of the README depends on, and the check that a running stack has them.

The values are written down here a second time, apart from the configuration: a change there that weakens a guarantee
fails this check. The benchmark runs it first, because figures without the guarantees would be those of another system.
"""

from collections.abc import Mapping

from infra.native import Stack, inspection
from infra.provision.settings import SERVICES, Settings

Values = dict[str, str]

DURABILITY: Mapping[str, str] = {
    **{
        f"PostgreSQL {service}_service {name}": "on"
        for service in SERVICES
        for name in ("fsync", "synchronous_commit", "full_page_writes")
    },
    "topic events.customer flush.messages": "1",
    "topic events.order flush.messages": "1",
    "topic events.customer min.insync.replicas": "1",
    "topic events.order min.insync.replicas": "1",
    "Connect producer.acks": "all",
    "Connect producer.enable.idempotence": "true",
    "stream EVENTS storage": "file",
    "NATS sync_interval": "always",
    "MongoDB write concern w": "majority",
    "MongoDB write concern j": "True",
}
"""What makes acknowledged data durable. There is one Kafka broker: flush.messages=1 makes it sync each record."""


def _prefixed(prefix: str, values: Mapping[str, str]) -> Values:
    return {f"{prefix} {name}": value for name, value in values.items()}


NANOSECONDS_A_DAY = 24 * 3600 * 10**9
EVENT_TOPIC = {
    "cleanup.policy": "delete",
    "retention.ms": str(7 * 24 * 3600 * 1000),
    "retention.bytes": str(2**30),
    # Retention counts from the append, so a row that is sent again is kept as long as a new one.
    "message.timestamp.type": "LogAppendTime",
    "replicas": "1",
}
HEARTBEAT_TOPIC = {"cleanup.policy": "delete", "retention.ms": "3600000", "retention.bytes": str(16 * 2**20)}
CONNECT_TOPIC = {"cleanup.policy": "compact", "min.insync.replicas": "1", "replicas": "1", "partitions": "1"}
STREAM = {"storage": "file", "retention": "limits", "discard": "old", "num_replicas": "1", "max_msgs": "-1"}
CONSUMER = {
    "ack_policy": "explicit",
    # The consumer itself decides what a poison message is.
    "max_deliver": "-1",
    "deliver_policy": "all",
    "ack_wait": str(6 * 10**9),
    # Messages that wait for their next attempt count too: a low limit would stop all others.
    "max_ack_pending": "100000",
}


def _of_service(service: str) -> Values:
    """PostgreSQL as a service's own connection sees it, the service's connector, and the topics that it writes."""
    postgres = {
        "wal_level": "logical",
        # An outbox that nobody reads must not fill the disk.
        "max_slot_wal_keep_size": "1GB",
        # A hung client must not keep a customer's row locked.
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "30s",
        "slot": f"{service}_outbox logical pgoutput permanent",
        "publication": f"{service}_outbox insert public.outbox",
    }
    connector = {
        # Nothing is skipped, and nothing is given up.
        "errors.tolerance": "none",
        "errors.max.retries": "-1",
        "transforms.outbox.table.op.invalid.behavior": "fatal",
        # The slot and the publication have known names, and survive a stopped connector.
        "slot.name": f"{service}_outbox",
        "slot.drop.on.stop": "false",
        "publication.name": f"{service}_outbox",
        "publication.autocreate.mode": "disabled",
        "table.include.list": "public.outbox",
        # A lost slot or offset is followed by a snapshot of the outbox.
        "snapshot.mode": "when_needed",
        # The slot of an idle database lets the log go.
        "heartbeat.interval.ms": "10000",
        "heartbeat.action.query": "SELECT pg_logical_emit_message(true, 'heartbeat', '')",
    }
    return {
        **_prefixed(f"PostgreSQL {service}_service", postgres),
        **_prefixed(f"connector {service}-outbox", connector),
        **_prefixed(f"topic events.{service}", EVENT_TOPIC),
        **_prefixed(f"topic __debezium-heartbeat.{service}", HEARTBEAT_TOPIC),
    }


REQUIRED: Mapping[str, str] = {
    **DURABILITY,
    **_of_service("customer"),
    **_of_service("order"),
    # Connectors and their offsets survive a crash. Connect writes their states again at its start.
    **_prefixed("topic connect.configs", CONNECT_TOPIC | {"flush.messages": "1"}),
    **_prefixed("topic connect.offsets", CONNECT_TOPIC | {"flush.messages": "1"}),
    **_prefixed("topic connect.status", CONNECT_TOPIC),
    "broker auto.create.topics.enable": "false",
    "broker unclean.leader.election.enable": "false",
    # Debezium's records in Kafka have a producer id: a producer gets one only with idempotence, which needs acks=all.
    "Connect records have a producer id": "true",
    "Connect producer.max.in.flight.requests.per.connection": "5",
    "Connect connector.client.config.override.policy": "None",
    "Connect topic.creation.enable": "false",
    "NATS max_payload": str(2 * 2**20),
    **_prefixed("stream EVENTS", STREAM | {"max_age": str(7 * NANOSECONDS_A_DAY), "max_bytes": str(4 * 2**30)}),
    **_prefixed("stream EVENTS", {"allow_atomic": "True", "duplicate_window": str(120 * 10**9)}),
    **_prefixed("stream DEAD_LETTERS", STREAM | {"max_age": str(30 * NANOSECONDS_A_DAY), "max_bytes": str(2**29)}),
    **_prefixed("consumer customer", CONSUMER),
    **_prefixed("consumer order", CONSUMER),
    **_prefixed("consumer history", CONSUMER),
    "MongoDB storage engine": "wiredTiger persistent journaled",
}


class GuaranteeMissing(Exception):
    """A running server has another value than a guarantee needs; the text names each such setting."""


async def check(stack: Stack) -> Values:
    """The settings of REQUIRED, as the running servers have them.

    Raises:
        GuaranteeMissing: a value differs.
    """
    found = await inspection.read(stack, Settings.read(stack.environment("keeper")))
    wrong = [
        f"{name} is {found.get(name)}, not {value}" for name, value in REQUIRED.items() if found.get(name) != value
    ]
    if wrong:
        raise GuaranteeMissing("; ".join(wrong))
    return {name: found[name] for name in REQUIRED}
