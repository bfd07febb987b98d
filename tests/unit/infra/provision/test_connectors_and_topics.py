"""The declared topics and connectors have the options that the guarantees depend on."""

import json
import re
from pathlib import Path

import pytest

from infra.native.layout import INFRA
from infra.provision.connectors import Connector, declared_connectors
from infra.provision.kafka import declared_topics
from infra.provision.settings import SERVICES, Settings
from services.bridge.translate import LARGEST_PAYLOAD
from storage.postgres import POOL_SIZE

CONNECTORS = declared_connectors()
CONNECT = INFRA / "kafka" / "connect.properties"


def _options(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.]+) ?= ?(.*)$", file.read_text(encoding="utf-8"), re.MULTILINE))


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
    options = _options(CONNECT)
    assert int(options["producer.delivery.timeout.ms"]) >= day
    assert int(options["producer.max.block.ms"]) >= day
    assert int(options["producer.retries"]) == 2**31 - 1


def test_connect_confirms_its_position_often_so_that_postgresql_can_remove_its_log() -> None:
    assert int(_options(CONNECT)["offset.flush.interval.ms"]) <= 10_000


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.name)
def test_a_connector_does_not_log_what_customers_sent(connector: Connector) -> None:
    assert connector.config["errors.log.include.messages"] == "false"


def test_events_are_spread_over_two_partitions() -> None:
    partitions = {topic.name: topic.partitions for topic in declared_topics()}
    assert [partitions[f"events.{service}"] for service in SERVICES] == [2, 2]


def test_kafka_refuses_a_record_that_the_bridge_could_not_forward() -> None:
    overhead = 12  # bytes of a batch of one record that the limit includes
    assert int(_options(INFRA / "kafka" / "broker.properties")["message.max.bytes"]) <= LARGEST_PAYLOAD + overhead


def test_postgresql_has_a_connection_for_every_client() -> None:
    options = _options(INFRA / "postgres" / "postgresql.conf")
    services_and_operations = len(SERVICES) * (POOL_SIZE + 2)
    connectors_keeper_and_reserve = 16
    needed = services_and_operations + int(options["max_wal_senders"]) + connectors_keeper_and_reserve
    assert int(options["max_connections"]) >= needed


def test_postgresql_removes_deleted_rows_by_itself() -> None:
    assert _options(INFRA / "postgres" / "postgresql.conf")["autovacuum"] == "on"


def test_every_way_into_postgresql_needs_a_password() -> None:
    lines = (INFRA / "postgres" / "pg_hba.conf").read_text(encoding="utf-8").splitlines()
    assert {line.split()[-1] for line in lines if line and not line.startswith("#")} == {"scram-sha-256"}


def test_missing_settings_are_all_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        Settings.read({})
    errors = capsys.readouterr().err
    for name in ("POSTGRES_URL", "MONGODB_URL", "KAFKA_PASSWORD", "CONNECT_PASSWORD", "NATS_TOKEN"):
        assert f"setting {name}: field required" in errors
