import pytest

from contracts.trace_context import valid_traceparent
from messaging.envelope import Envelope, open_envelope
from messaging.errors import Undecodable
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


@pytest.mark.parametrize(
    "value", [None, "", "00", TRACEPARENT.upper(), TRACEPARENT + "-more", f" {TRACEPARENT}", f"{TRACEPARENT}\n"]
)
def test_a_broken_trace_context_is_dropped(value: str | None) -> None:
    assert valid_traceparent(value) is None
