"""Every Kafka record becomes one message, readable or not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import _HEADER_KEY_RE

from messaging.envelope import open_envelope
from messaging.errors import Undecodable
from services.bridge.translate import LARGEST_HEADERS, LARGEST_PAYLOAD, Record, partition_subjects, translate
from tests import builders

POSITION = {"Kafka-Topic": "events.order", "Kafka-Topic-Id": "T", "Kafka-Partition": "3", "Kafka-Offset": "12"}


def test_the_subject_is_the_topic_the_partition_and_the_event_type() -> None:
    record = builders.record(event_type="OrderCreated", topic="events.order", partition=3)
    assert translate(record).subject == "events.order.3.OrderCreated"


def test_the_payload_is_passed_on_as_it_is() -> None:
    payload = b' {"a": 1, "\xff": 2}\r\n'
    assert translate(builders.record(value=payload)).payload == payload


def test_the_headers_are_copied_but_for_those_without_a_value() -> None:
    headers = translate(builders.record()).headers
    assert headers["type"] == "OrderCreated"
    assert headers["created_at"] == "2026-01-02T03:04:05.678Z"
    assert "traceparent" not in headers


def test_the_event_id_is_the_message_id() -> None:
    message = translate(builders.record(event_id="abc"))
    assert message.headers["Nats-Msg-Id"] == message.event_id == "abc"


@pytest.mark.parametrize("event_id", [None, ""])
def test_without_an_event_id_there_is_no_message_id(event_id: str | None) -> None:
    message = translate(builders.record(event_id=event_id))
    assert message.event_id is None


def test_the_position_in_kafka_is_written_down() -> None:
    headers = translate(builders.record(topic="events.order", topic_id="T", partition=3, offset=2**40)).headers
    names = ("Kafka-Topic", "Kafka-Topic-Id", "Kafka-Partition", "Kafka-Offset")
    assert [headers[name] for name in names] == ["events.order", "T", "3", str(2**40)]


def test_an_unreadable_record_has_its_position_written_down_too() -> None:
    message = translate(builders.record(event_type=None, offset=12))
    assert message.headers["Kafka-Offset"] == "12"


def test_a_record_cannot_forge_its_position() -> None:
    record = builders.record(offset=12)
    forged = Record("events.order", "T", 3, 12, b"{}", [*record.headers, ("Kafka-Offset", b"99")])
    assert translate(forged).headers["Kafka-Offset"] == "12"


@pytest.mark.parametrize(
    "event_type", [None, "", "Order Created", "Order.Created", "*", ">", "Ordér", "a" * 129, "1st", "A\nB"]
)
def test_a_type_that_cannot_be_a_token_of_a_subject_is_marked_unreadable(event_type: str | None) -> None:
    assert translate(builders.record(event_type=event_type)).subject == "events.order.3.Unreadable"


def test_header_bytes_that_are_no_text_do_not_stop_the_bridge() -> None:
    record = Record("events.order", "T", 0, 0, b"", [("type", b"\xff\xfe"), ("id", b"1\r\nEvil: 2\x00")])
    headers = translate(record).headers
    assert headers["type"] == "\\xff\\xfe"
    assert headers["id"] == "1  Evil: 2 "


def _record(headers: dict[str, bytes | None], value: bytes = b"{}") -> Record:
    return Record("events.order", "T", 3, 12, value, list(headers.items()))


@pytest.mark.parametrize("name", ["", "two words", "a:b", "tück", "a\r\nEvil", "\0"])
def test_a_header_whose_name_nats_would_refuse_is_left_out_and_the_rest_is_passed_on(name: str) -> None:
    headers = translate(_record({name: b"1", "x": b"2"})).headers
    assert headers == {"x": "2", **POSITION}


@pytest.mark.parametrize("name", ["Nats-Expected-Last-Sequence", "nats-msg-id", "Nats-Rollup", "Status", "Description"])
def test_a_record_cannot_speak_to_the_server_or_the_client(name: str) -> None:
    assert translate(_record({name: b"1"})).headers == POSITION


def test_the_largest_payload_is_passed_on_as_it_is() -> None:
    message = translate(_record({"id": b"1", "type": b"OrderCreated"}, b"x" * LARGEST_PAYLOAD))
    assert len(message.payload) == LARGEST_PAYLOAD
    open_envelope(message.headers, message.payload)


def test_a_larger_one_leaves_a_message_of_its_position_that_no_consumer_opens() -> None:
    message = translate(_record({"id": b"1", "type": b"OrderCreated"}, b"x" * (LARGEST_PAYLOAD + 1)))
    assert (message.subject, message.payload) == ("events.order.3.OrderCreated", b"")
    assert message.headers.items() >= {**POSITION, "id": "1", "type": "OrderCreated"}.items()
    with pytest.raises(Undecodable, match=f"the record has {LARGEST_PAYLOAD + 1} bytes"):
        open_envelope(message.headers, message.payload)


@pytest.mark.parametrize(
    "headers",
    [
        {"x": b"1" * LARGEST_HEADERS},
        {"x": b"\xff" * (LARGEST_HEADERS // 4)},  # four characters for each byte
        {f"x{number}": b"1" for number in range(LARGEST_HEADERS // 6)},
    ],
    ids=["long", "no text", "many"],
)
def test_headers_that_are_too_large_leave_a_message_of_the_position_that_no_consumer_opens(
    headers: dict[str, bytes | None],
) -> None:
    message = translate(_record({"type": b"OrderCreated", "id": b"1", **headers}))
    assert message.subject == "events.order.3.OrderCreated"
    assert message.headers.keys() - POSITION.keys() == {"Bridge-Problem"}
    with pytest.raises(Undecodable, match="headers have"):
        open_envelope(message.headers, message.payload)


@pytest.mark.parametrize(("more", "is_whole"), [(0, True), (1, False)])
def test_headers_may_have_32_kibibytes_on_the_wire(more: int, is_whole: bool) -> None:
    on_the_wire = len("type: OrderCreated\r\nid: 1\r\nx: \r\n")
    message = translate(
        _record({"type": b"OrderCreated", "id": b"1", "x": b"1" * (LARGEST_HEADERS - on_the_wire + more)})
    )
    assert ("Bridge-Problem" not in message.headers) == is_whole


def test_a_partitions_subjects_are_those_of_its_messages_only() -> None:
    assert partition_subjects("events.order", 3) == "events.order.3.>"


def test_what_the_bridge_forwards_is_opened_by_the_consumers() -> None:
    message = translate(builders.record(value=b"{}", event_type="OrderCreated", event_id="abc"))
    opened = open_envelope(message.headers, message.payload)
    assert (opened.event_id, opened.type, opened.payload) == ("abc", "OrderCreated", b"{}")


HEADERS = st.lists(
    st.tuples(st.sampled_from(["id", "type", "x"]) | st.text(max_size=9), st.none() | st.binary(max_size=40))
)


@given(HEADERS, st.binary(max_size=60), st.integers(0, 2**63 - 1))
def test_any_record_becomes_a_message_with_a_subject_of_four_tokens(
    headers: list[tuple[str, bytes | None]], value: bytes, offset: int
) -> None:
    message = translate(Record("events.order", "T", 3, offset, value, headers))
    tokens = message.subject.split(".")
    assert len(tokens) == 4
    assert all(token and not set(token) & set("*> \t\r\n") for token in tokens)
    assert not any(set(text) & set("\r\n\0") for text in message.headers.values())
    assert all(_HEADER_KEY_RE.fullmatch(name) for name in message.headers)
