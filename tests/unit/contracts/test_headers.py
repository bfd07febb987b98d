"""The names of the headers: those that Debezium is configured to write, and those that only the bridge may write."""

import json
from pathlib import Path

import pytest

import infra
from contracts import headers

[INFRA] = infra.__path__
CONNECTORS = sorted((Path(INFRA) / "debezium").glob("*.json"))
OF_THE_RECORD = {headers.ID, headers.TYPE, headers.TRACEPARENT, headers.CREATED_AT}
OF_THE_BRIDGE = {
    headers.MESSAGE_ID,
    headers.KAFKA_TOPIC,
    headers.KAFKA_TOPIC_ID,
    headers.KAFKA_PARTITION,
    headers.KAFKA_OFFSET,
    headers.PROBLEM,
}


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda path: path.stem)
def test_debezium_writes_the_headers_of_a_record_under_the_names_that_are_read(connector: Path) -> None:
    config = json.loads(connector.read_text(encoding="utf-8"))["config"]
    placements = config["transforms.outbox.table.fields.additional.placement"].split(",")
    # A placement is column:header, or column:header:name of the header. EventRouter always writes the id's header.
    written = {placement.split(":")[-1 if placement.count(":") == 2 else 0] for placement in placements}
    assert written | {"id"} == OF_THE_RECORD
    assert config["transforms.outbox.table.field.event.id"] == headers.ID


def test_a_header_of_the_record_and_one_of_the_bridge_never_have_the_same_name() -> None:
    assert len(OF_THE_BRIDGE) == 6
    assert not {name.lower() for name in OF_THE_RECORD} & {name.lower() for name in OF_THE_BRIDGE}


def test_the_message_id_has_the_name_by_which_the_server_recognises_repeats() -> None:
    assert headers.MESSAGE_ID == "Nats-Msg-Id"
