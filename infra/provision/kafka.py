"""The topics of infra/kafka/topics.json: created when missing, and their options put back when changed."""

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


@dataclass(frozen=True)
class Topic:
    name: str
    partitions: int
    config: dict[str, str]


def declared_topics(file: Path = TOPICS_FILE) -> list[Topic]:
    topics = json.loads(file.read_text())["topics"]
    return [Topic(name, topic["partitions"], topic["config"]) for name, topic in topics.items()]


EVENTS_PREFIX = "events."


def event_topic_ids(settings: Settings) -> dict[str, str]:
    """Kafka's own ids of the topics that hold events; a topic that is made anew gets another one."""
    names = [topic.name for topic in declared_topics() if topic.name.startswith(EVENTS_PREFIX)]
    admin = _admin(settings)  # a name for it: the answers never come from a client that was collected
    described = admin.describe_topics(TopicCollection(names), request_timeout=TIMEOUT_SECONDS)
    return {name: str(answer.result(timeout=TIMEOUT_SECONDS).topic_id) for name, answer in described.items()}


def reconcile(settings: Settings) -> list[str]:
    """Make Kafka's topics equal the declared ones; answers what was changed. Nothing is ever deleted."""
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
            # What goes wrong comes back as an exception; a broker that is still starting is no news.
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
            # An earlier attempt whose answer was lost, or another one at the same time.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    return [f"topic {topic.name}" for topic in topics]


def _add_partitions(admin: AdminClient, topics: list[Topic], existing: dict[str, int]) -> list[str]:
    """Kafka can only add: an aggregate's later events may go to another partition, which the versions absorb."""
    short = [NewPartitions(topic.name, topic.partitions) for topic in topics if existing[topic.name] < topic.partitions]
    if not short:
        return []
    for grown in admin.create_partitions(short).values():
        grown.result(timeout=TIMEOUT_SECONDS)
    return [f"partitions of {partitions.topic}" for partitions in short]


def _restore_options(admin: AdminClient, topics: list[Topic]) -> list[str]:
    if not topics:
        return []
    wanted = {topic.name: topic.config for topic in topics}
    described = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in wanted])
    changes = []
    for resource, answer in described.items():
        actual = answer.result(timeout=TIMEOUT_SECONDS)
        different = {option: value for option, value in wanted[resource.name].items() if actual[option].value != value}
        if different:
            _set_options(admin, resource.name, different)
            changes.append(f"{', '.join(different)} of {resource.name}")
    return changes


def _set_options(admin: AdminClient, topic: str, options: dict[str, str]) -> None:
    entries = [
        ConfigEntry(option, value, incremental_operation=AlterConfigOpType.SET) for option, value in options.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    for altered in admin.incremental_alter_configs([resource]).values():
        altered.result(timeout=TIMEOUT_SECONDS)
