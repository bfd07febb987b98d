"""The running servers have every setting that a guarantee depends on, and every option that the code declares."""

import asyncio
from collections.abc import Iterator, Mapping

import pytest

from infra import guarantees
from infra.native import Stack, inspection
from infra.provision.connectors import declared_connectors
from infra.provision.kafka import declared_topics
from infra.provision.settings import Settings
from messaging.streams import STREAM_DEFAULTS, STREAMS, DurableConsumer
from services.customer.subscriptions import ORDERS_CONSUMER
from services.history.subscriptions import VIEW
from services.order.subscriptions import DECISIONS_CONSUMER
from tests.backdoor import Backdoor

PARTS_OF_A_NAME = frozenset({"name", "durable_name"})
"""The history's consumers are named after the generation of the view that they fill."""


@pytest.fixture(scope="module")
def found(stack: Stack) -> Mapping[str, str]:
    """All settings of the running servers."""
    return asyncio.run(inspection.read(stack, Settings.read(stack.environment("keeper"))))


@pytest.mark.parametrize("name", guarantees.REQUIRED)
def test_a_setting_that_a_guarantee_depends_on_has_its_value(name: str, found: Mapping[str, str]) -> None:
    assert found.get(name) == guarantees.REQUIRED[name]


@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_has_every_declared_option(stream: str, found: Mapping[str, str]) -> None:
    for option, value in {**STREAM_DEFAULTS, **STREAMS[stream]}.items():
        assert found[f"stream {stream} {option}"] == str(value), option


@pytest.mark.parametrize("consumer", [ORDERS_CONSUMER, DECISIONS_CONSUMER, VIEW], ids=lambda consumer: consumer.name)
def test_a_consumer_has_every_declared_option(consumer: DurableConsumer, found: Mapping[str, str]) -> None:
    for option, value in consumer.config().items():
        if option not in PARTS_OF_A_NAME:
            assert found[f"consumer {consumer.name} {option}"] == str(value), option


def test_a_topic_has_every_declared_option_and_partition(found: Mapping[str, str]) -> None:
    for topic in declared_topics():
        for option, value in (topic.config | {"partitions": str(topic.partitions)}).items():
            assert found[f"topic {topic.name} {option}"] == value, (topic.name, option)


def test_a_connector_has_every_declared_option(found: Mapping[str, str]) -> None:
    for connector in declared_connectors():
        for option, value in connector.config.items():
            assert found[f"connector {connector.name} {option}"] == value, option


@pytest.fixture
def asynchronous_commits(stack: Stack) -> Iterator[None]:
    """New connections of the order service's role do not wait for the disk."""
    backdoor = Backdoor(stack)
    backdoor.execute("order", "ALTER ROLE order_service SET synchronous_commit = off")
    yield
    backdoor.execute("order", "ALTER ROLE order_service RESET synchronous_commit")


@pytest.mark.usefixtures("asynchronous_commits")
def test_a_weakened_setting_of_a_running_server_is_named(stack: Stack) -> None:
    with pytest.raises(guarantees.GuaranteeMissing) as raised:
        asyncio.run(guarantees.check(stack))
    assert str(raised.value) == "PostgreSQL order_service synchronous_commit is off, not on"
