import json
from typing import Any

import pytest

from contracts.money import Money
from contracts.wire import Event, Id, UnreadablePayload, Version


class Sample(Event):
    order_id: Id
    order_total: Money
    remark: str | None = None
    version: Version = 1


def _sample(**changes: Any) -> bytes:
    return json.dumps({"orderId": 1, "orderTotal": {"amount": 12.34}, "version": 2} | changes).encode()


def test_a_payload_is_written_in_camel_case_with_money_as_an_amount() -> None:
    event = Sample(order_id=1, order_total=Money.of(1_234))
    assert event.to_json() == b'{"orderId":1,"orderTotal":{"amount":12.34},"version":1}'


def test_an_event_is_equal_after_it_was_written_and_read() -> None:
    event = Sample(order_id=2**63 - 1, order_total=Money.of(10**15), remark="Zo\u00eb", version=3)
    assert Sample.from_json(event.to_json()) == event


def test_unknown_fields_are_ignored_at_every_depth() -> None:
    payload = _sample(later={"a": 1}, orderTotal={"amount": 12.34, "currency": "EUR"})
    assert Sample.from_json(payload) == Sample.from_json(_sample())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"orderId": "1"}, "orderId"),
        ({"orderId": True}, "orderId"),
        ({"orderId": 1.5}, "orderId"),
        ({"orderId": 2**63}, "orderId"),
        ({"orderId": None}, "orderId"),
        ({"orderTotal": 4}, "orderTotal"),
        ({"orderTotal": {"amount": "4"}}, "orderTotal.amount"),
        ({"orderTotal": {"amount": -4}}, "orderTotal.amount"),
        ({"orderTotal": {"amount": 4.001}}, "orderTotal.amount"),
        ({"orderTotal": {}}, "orderTotal.amount"),
        ({"version": -1}, "version"),
        ({"remark": 1}, "remark"),
    ],
)
def test_a_field_of_the_wrong_type_is_refused_and_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(UnreadablePayload, match=rf"\b{field}: "):
        Sample.from_json(_sample(**changes))


def test_every_wrong_field_is_named() -> None:
    with pytest.raises(UnreadablePayload, match=r"Sample has orderId: .*; orderTotal: .*"):
        Sample.from_json(b"{}")


@pytest.mark.parametrize("payload", [b"", b"{", b"nonsense", b"\xff", b'{"orderId": NaN}'])
def test_a_payload_that_is_not_json_is_refused(payload: bytes) -> None:
    with pytest.raises(UnreadablePayload, match="not JSON"):
        Sample.from_json(payload)


@pytest.mark.parametrize("payload", [b"[]", b"1", b"null", b'"text"'])
def test_json_that_is_not_an_object_is_refused(payload: bytes) -> None:
    with pytest.raises(UnreadablePayload, match="payload: "):
        Sample.from_json(payload)


def test_an_event_about_an_aggregate_that_does_not_exist_has_version_0() -> None:
    assert Sample.from_json(_sample(version=0)).version == 0
    with pytest.raises(UnreadablePayload):
        Sample.from_json(_sample(version=-1))
