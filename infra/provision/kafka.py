"""The topics of infra/kafka/topics.json: created when missing, and their options restored when changed."""

import json
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from infra.provision.settings import Settings

TOPICS_FILE = Path(__file__).parents[1] / "kafka" / "topics.json"
TIMEOUT_SECONDS = 10.0
EVENTS_PREFIX = "events."


@dataclass(frozen=True)
class Topic:
    """A topic with the options that topics.json gives it."""

    name: str
    partitions: int
    config: dict[str, str]


def declared_topics(file: Path = TOPICS_FILE) -> list[Topic]:
    topics = json.loads(file.read_text())["topics"]
    return [Topic(name, topic["partitions"], topic["config"]) for name, topic in topics.items()]


def event_topic_ids(settings: Settings) -> dict[str, str]:
    """The ids of the event topics by name; a recreated topic has another id."""
    names = [topic.name for topic in declared_topics() if topic.name.startswith(EVENTS_PREFIX)]
    # The variable keeps the client alive: futures of a garbage-collected AdminClient never complete.
    admin = _admin(settings)
    described = admin.describe_topics(TopicCollection(names), request_timeout=TIMEOUT_SECONDS)
    return {name: str(answer.result(timeout=TIMEOUT_SECONDS).topic_id) for name, answer in described.items()}


def reconcile(settings: Settings) -> list[str]:
    """Creates missing topics, adds partitions and restores options; returns what was changed. It deletes nothing."""
    admin = _admin(settings)
    existing = {
        name: len(topic.partitions) for name, topic in admin.list_topics(timeout=TIMEOUT_SECONDS).topics.items()
    }
    topics = declared_topics()
    changes = _create(admin, [topic for topic in topics if topic.name not in existing])
    present = [topic for topic in topics if topic.name in existing]
    return changes + _add_partitions(admin, present, existing) + _restore_options(admin, present)


def _admin(settings: Settings) -> AdminClient:
    return AdminClient(
        {
            **settings.kafka_login(),
            "socket.connection.setup.timeout.ms": 5_000,
            "reconnect.backoff.max.ms": 500,
            # Errors come back as exceptions. The log would repeat them while a broker starts.
            "log_level": 2,
        }
    )


def _create(admin: AdminClient, topics: list[Topic]) -> list[str]:
    if not topics:
        return []
    new = [NewTopic(topic.name, topic.partitions, replication_factor=1, config=topic.config) for topic in topics]
    for created in admin.create_topics(new, operation_timeout=TIMEOUT_SECONDS).values():
        try:
            created.result(timeout=TIMEOUT_SECONDS)
        except KafkaException as error:
            # Created by an earlier attempt whose answer was lost, or by another process at the same time.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    return [f"created the topic {topic.name}" for topic in topics]


def _add_partitions(admin: AdminClient, topics: list[Topic], existing: dict[str, int]) -> list[str]:
    """Kafka can only add partitions.

    Later events of an aggregate may then go to another partition; consumers put them in order by version.
    """
    short = [NewPartitions(topic.name, topic.partitions) for topic in topics if existing[topic.name] < topic.partitions]
    if not short:
        return []
    for grown in admin.create_partitions(short).values():
        grown.result(timeout=TIMEOUT_SECONDS)
    return [f"added partitions to {partitions.topic}" for partitions in short]


def _restore_options(admin: AdminClient, topics: list[Topic]) -> list[str]:
    if not topics:
        return []
    declared = {topic.name: topic.config for topic in topics}
    described = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in declared])
    changes = []
    for resource, answer in described.items():
        actual = answer.result(timeout=TIMEOUT_SECONDS)
        changed = {option: value for option, value in declared[resource.name].items() if actual[option].value != value}
        if changed:
            _set_options(admin, resource.name, changed)
            changes.append(f"restored {', '.join(changed)} of {resource.name}")
    return changes


def _set_options(admin: AdminClient, topic: str, options: dict[str, str]) -> None:
    entries = [
        ConfigEntry(option, value, incremental_operation=AlterConfigOpType.SET) for option, value in options.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    for altered in admin.incremental_alter_configs([resource]).values():
        altered.result(timeout=TIMEOUT_SECONDS)
