import pytest

from contracts.headers import PROBLEM
from messaging.envelope import Envelope, open_envelope, read_event
from messaging.errors import Undecodable, UnknownEventType
from services.order.events import CREDIT_DECISIONS, CreditReserved
from tests.builders import TRACEPARENT


def test_an_envelope_is_read_from_the_headers() -> None:
    headers = {"id": "1", "type": "OrderCreated", "traceparent": TRACEPARENT, "Kafka-Offset": "12"}
    assert open_envelope(headers, b"{}") == Envelope("1", "OrderCreated", b"{}", TRACEPARENT)


@pytest.mark.parametrize(
    ("headers", "named"),
    [(None, "id and no header type"), ({}, "id and no header type"), ({"id": "1"}, "type"), ({"type": "T"}, "id")],
)
def test_a_missing_header_is_named(headers: dict[str, str] | None, named: str) -> None:
    with pytest.raises(Undecodable, match=f"no header {named}$"):
        open_envelope(headers, b"{}")


def test_a_broken_trace_context_is_dropped() -> None:
    assert open_envelope({"id": "1", "type": "OrderCreated", "traceparent": "00"}, b"").traceparent is None


def test_a_message_that_the_bridge_could_not_pass_on_cannot_be_read() -> None:
    with pytest.raises(Undecodable, match="too large"):
        open_envelope({"id": "1", "type": "OrderCreated", PROBLEM: "the record is too large"}, b"")


def test_an_event_is_read_by_the_class_that_its_type_is_registered_for() -> None:
    assert read_event(Envelope("1", "CreditReserved", b'{"orderId": 42}'), CREDIT_DECISIONS) == CreditReserved(
        order_id=42
    )


def test_a_payload_that_does_not_match_its_type_cannot_be_read() -> None:
    with pytest.raises(Undecodable, match="orderId"):
        read_event(Envelope("1", "CreditReserved", b"{}"), CREDIT_DECISIONS)


def test_a_type_that_is_not_registered_is_not_taken_for_a_broken_payload() -> None:
    # A newer instance of the service may know it: the consumer retries it.
    with pytest.raises(UnknownEventType, match="OrderSplit"):
        read_event(Envelope("1", "OrderSplit", b"{}"), CREDIT_DECISIONS)
