"""The declared topics and connectors have the options that the guarantees depend on."""

import json
import re

import pytest

from infra.native.layout import INFRA
from infra.provision.connectors import Connector, declared_connectors
from infra.provision.kafka import declared_topics
from infra.provision.settings import SERVICES, Settings

CONNECTORS = declared_connectors()
CONNECT = INFRA / "kafka" / "connect.properties"


def test_each_service_has_a_connector_slot_and_publication_of_its_own() -> None:
    assert [connector.name for connector in CONNECTORS] == [f"{service}-outbox" for service in SERVICES]
    for service, connector in zip(SERVICES, CONNECTORS, strict=True):
        assert connector.config["slot.name"] == connector.config["publication.name"] == f"{service}_outbox"
        assert connector.config["database.dbname"] == f"{service}_service"
        assert connector.config["database.user"] == f"{service}_service_cdc"


def test_no_placeholder_of_the_template_is_left_in_a_connector() -> None:
    for connector in CONNECTORS:
        assert "<" not in json.dumps({**connector.config, "transforms.outbox.route.topic.regex": ""})


def test_the_connectors_differ_only_in_what_is_named_after_their_service() -> None:
    customer, order = (connector.config for connector in CONNECTORS)
    named_after_the_service = {
        "topic.prefix", "database.dbname", "database.user", "database.password", "slot.name", "publication.name"
    }  # fmt: skip
    assert {option for option in customer if customer[option] != order[option]} == named_after_the_service
    assert customer.keys() == order.keys()


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.name)
def test_a_connector_stops_rather_than_skips(connector: Connector) -> None:
    assert connector.config["errors.tolerance"] == "none"
    assert connector.config["transforms.outbox.table.op.invalid.behavior"] == "fatal"


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.name)
def test_every_topic_that_a_connector_writes_is_declared(connector: Connector) -> None:
    topics = {topic.name for topic in declared_topics()}
    assert f"__debezium-heartbeat.{connector.config['topic.prefix']}" in topics
    assert connector.config["transforms.outbox.route.topic.replacement"] == "events.${routedByValue}"
    assert {f"events.{aggregate}" for aggregate in (*SERVICES, "probe")} <= topics


def test_every_topic_has_a_bound() -> None:
    for topic in declared_topics():
        bounded = (
            topic.config["cleanup.policy"] == "compact" or {"retention.ms", "retention.bytes"} <= topic.config.keys()
        )
        assert bounded, topic.name


def test_events_are_on_disk_before_they_are_acknowledged() -> None:
    events = [topic for topic in declared_topics() if topic.name.startswith("events.")]
    assert all(topic.config["flush.messages"] == "1" for topic in events)


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.name)
def test_the_events_of_an_aggregate_keep_their_order_and_their_trace(connector: Connector) -> None:
    assert connector.config["transforms.outbox.table.field.event.key"] == "aggregateid"
    placed = connector.config["transforms.outbox.table.fields.additional.placement"].split(",")
    assert placed == ["type:header", "traceparent:header", "created_at:header"]


def test_a_record_waits_for_a_day_while_kafka_is_down() -> None:
    day = 24 * 3600 * 1000  # milliseconds
    options = dict(re.findall(r"^([\w.]+)=(.*)$", CONNECT.read_text(encoding="utf-8"), re.MULTILINE))
    assert int(options["producer.delivery.timeout.ms"]) >= day
    assert int(options["producer.max.block.ms"]) >= day
    assert int(options["producer.retries"]) == 2**31 - 1


def test_missing_settings_are_all_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        Settings.read({})
    errors = capsys.readouterr().err
    for name in ("POSTGRES_URL", "MONGODB_URL", "KAFKA_PASSWORD", "CONNECT_PASSWORD", "NATS_TOKEN"):
        assert f"setting {name}: field required" in errors
