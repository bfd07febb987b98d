from collections.abc import Sequence
from decimal import Decimal

import pytest
from pydantic import BaseModel, ConfigDict

from contracts.money import PositiveMoney
from contracts.wire import Id
from tests.unit.web.requests import request
from web.bodies import MAX_BODY_BYTES, parse_json, read_body
from web.problems import BadInput, Problem

JSON = {"Content-Type": "application/json"}


class Thing(BaseModel):
    model_config = ConfigDict(strict=True)

    id: Id
    total: PositiveMoney


async def test_a_body_is_read_in_whatever_pieces_it_comes() -> None:
    body = [b'{"id": 1, "to', b'tal": {"amount"', b": 4}}"]
    assert await read_body(request(headers=JSON, body=body), Thing) == Thing(id=1, total=PositiveMoney.of(400))


@pytest.mark.parametrize("media_type", ["text/plain", "", "application/json-patch+json", "application"])
async def test_another_media_type_is_refused_before_the_body_is_read(media_type: str) -> None:
    with pytest.raises(Problem) as refusal:
        await read_body(request(headers={"Content-Type": media_type}, body=[]), Thing)
    assert refusal.value.status == 415


async def test_a_declared_size_over_the_limit_is_refused_before_the_body_is_read() -> None:
    headers = JSON | {"Content-Length": str(MAX_BODY_BYTES + 1)}
    with pytest.raises(Problem) as refusal:
        await read_body(request(headers=headers, body=[]), Thing)
    assert refusal.value.status == 413


@pytest.mark.parametrize("declared", [{}, {"Content-Length": "5"}])
async def test_a_size_over_the_limit_is_refused_whatever_was_declared(declared: dict[str, str]) -> None:
    body = [b" " * MAX_BODY_BYTES, b" ", b"never read"]
    with pytest.raises(Problem) as refusal:
        await read_body(request(headers=JSON | declared, body=body), Thing)
    assert refusal.value.status == 413


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (b"{}", [("id", "is required"), ("total", "is required")]),
        (b"[]", [("", "must be a JSON object")]),
        (b'{"id": "1", "total": 4}', [("id", "must be an integer"), ("total", "must be a JSON object")]),
        (b'{"id": 1, "total": {"amount": true}}', [("total.amount", "must be a number")]),
        (b'{"id": 1, "total": {"amount": NaN}}', [("total.amount", "must be a finite number")]),
        (b'{"id": 1, "total": {"amount": 0}}', [("total.amount", "must be greater than 0")]),
        (b'{"id": 1, "total": {"amount": 4}, "x": NaN}', [("", "the body is not JSON: NaN is not a JSON value")]),
        (b'{"id": 1', [("", "the body is not JSON: Expecting ',' delimiter at line 1 column 9")]),
        (b'{"id": "\xff"}', [("", "the body is not UTF-8: byte 8 is invalid")]),
    ],
)
async def test_a_fault_is_told_with_the_field_and_what_it_must_be(
    body: bytes, errors: Sequence[tuple[str, str]]
) -> None:
    with pytest.raises(BadInput) as refusal:
        await read_body(request(headers=JSON, body=[body]), Thing)
    assert refusal.value.errors == errors


def test_no_digit_of_a_number_is_lost() -> None:
    document, _ = parse_json(b"[0.1000000000000000000000000000001, 12.30, 1e2, 9007199254740993]")
    assert document == [
        Decimal("0.1000000000000000000000000000001"),
        Decimal("12.3"),
        Decimal(100),
        9007199254740993,
    ]


@pytest.mark.parametrize(
    "number", [b"9" * 60_000, b"-" + b"9" * 60_000, b"1e99999999999999999999", b"0." + b"9" * 60_000]
)
def test_a_number_of_any_length_is_parsed(number: bytes) -> None:
    document, constants = parse_json(b"[" + number + b"]")
    assert isinstance(document[0], Decimal)
    assert constants == []


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(BadInput, match="nested too deeply"):
        parse_json(b"[" * 60_000 + b"]" * 60_000)
