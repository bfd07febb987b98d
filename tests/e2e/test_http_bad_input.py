"""Bad input is refused with a problem that names each wrong field."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.drivers import System
from tests.e2e.problems import assert_problem

JSON = {"Content-Type": "application/json"}
LIMIT = '{"amount": 5}'

NOT_AN_AMOUNT = ['"4"', "true", "null", "[4]", "NaN", "Infinity", "-Infinity", "0.001", "4.123", "1e-9", "1e14"]
TOO_LARGE = ["10000000000000.01", "10000000000001", "9" * 5000, "1e999999999999999999999"]

NOT_AN_ID = ['"1"', "true", "1.5", "1.0", "null", "[1]", "{}", "NaN", str(2**63), str(-(2**63) - 1), "9" * 5000]


@pytest.mark.parametrize("amount", [*NOT_AN_AMOUNT, *TOO_LARGE, "-1", "-0.01"])
def test_a_credit_limit_that_is_not_an_amount_is_refused(system: System, amount: str) -> None:
    body = f'{{"name": "Jane", "creditLimit": {{"amount": {amount}}}}}'
    assert_problem(_post(system.customers.http, "/customers", body), 400, "creditLimit.amount")


@pytest.mark.parametrize("amount", [*NOT_AN_AMOUNT, *TOO_LARGE, "-1", "0", "0.00", "-0"])
def test_an_order_total_that_is_not_a_positive_amount_is_refused(system: System, amount: str) -> None:
    body = f'{{"customerId": 1, "orderTotal": {{"amount": {amount}}}}}'
    assert_problem(_post(system.orders.http, "/orders", body), 400, "orderTotal.amount")


@pytest.mark.parametrize("customer", NOT_AN_ID)
def test_a_customer_id_that_is_not_an_integer_of_64_bits_is_refused(system: System, customer: str) -> None:
    body = f'{{"customerId": {customer}, "orderTotal": {{"amount": 4}}}}'
    assert_problem(_post(system.orders.http, "/orders", body), 400, "customerId")


@pytest.mark.parametrize(
    "name", ['""', '"  "', '"a\\u0000b"', '"\\ud800"', f'"{"x" * 201}"', "1", "true", "null", "[]", "{}"]
)
def test_a_name_that_is_empty_too_long_or_not_text_is_refused(system: System, name: str) -> None:
    assert_problem(
        _post(system.customers.http, "/customers", f'{{"name": {name}, "creditLimit": {LIMIT}}}'), 400, "name"
    )


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ("{}", ["name", "creditLimit"]),
        ('{"name": "Jane"}', ["creditLimit"]),
        ('{"name": "Jane", "creditLimit": 5}', ["creditLimit"]),
        ('{"name": "Jane", "creditLimit": null}', ["creditLimit"]),
        ('{"name": "Jane", "creditLimit": {}}', ["creditLimit.amount"]),
        ('{"name": 1, "creditLimit": {"amount": "5"}}', ["name", "creditLimit.amount"]),
    ],
)
def test_all_wrong_fields_of_a_customer_are_named_in_one_answer(system: System, body: str, fields: list[str]) -> None:
    assert_problem(_post(system.customers.http, "/customers", body), 400, *fields)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ("{}", ["customerId", "orderTotal"]),
        ('{"customerId": 1}', ["orderTotal"]),
        ('{"customerId": 1, "orderTotal": 4}', ["orderTotal"]),
        ('{"customerId": "1", "orderTotal": {"amount": 0}}', ["customerId", "orderTotal.amount"]),
    ],
)
def test_all_wrong_fields_of_an_order_are_named_in_one_answer(system: System, body: str, fields: list[str]) -> None:
    assert_problem(_post(system.orders.http, "/orders", body), 400, *fields)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"not json",
        b'{"customerId": 1,}',
        b"[]",
        b'"text"',
        b"4",
        b"null",
        b'{"customerId": "\xff"}',
        b"\xef\xbb\xbf{}",
        b"[" * 30_000,
        b'{"customerId": 1, "orderTotal": {"amount": 4}, "remark": NaN}',
    ],
)
@pytest.mark.parametrize("path", ["/orders", "/customers"])
def test_a_body_that_is_not_a_json_object_is_refused(system: System, path: str, body: bytes) -> None:
    http = system.orders.http if path == "/orders" else system.customers.http
    answer = _post(http, path, body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/orders", "/customers"])
@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_a_media_type_other_than_json_is_refused(system: System, path: str, media_type: str) -> None:
    http = system.orders.http if path == "/orders" else system.customers.http
    answer = http.post(path, content=b"{}", headers={"Content-Type": media_type})
    assert_problem(answer, 415)
    assert answer.headers["accept"] == "application/json"


def test_json_with_a_charset_parameter_is_accepted(system: System) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    answer = system.orders.http.post("/orders", content=_order(), headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/orders", "/customers"])
def test_a_body_whose_content_length_is_over_the_limit_is_refused(system: System, path: str) -> None:
    http = system.orders.http if path == "/orders" else system.customers.http
    assert_problem(_post(http, path, b" " * (64 * 1024 + 1)), 413)


@pytest.mark.parametrize("path", ["/orders", "/customers"])
def test_a_chunked_body_over_the_limit_is_refused(system: System, path: str) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(65):
            yield b" " * 1024

    http = system.orders.http if path == "/orders" else system.customers.http
    assert_problem(_post(http, path, chunks()), 413)


def test_a_body_of_exactly_the_limit_is_accepted(system: System) -> None:
    order = _order()
    answer = _post(system.orders.http, "/orders", order + b" " * (64 * 1024 - len(order)))
    assert answer.status_code == 200


def test_unknown_fields_of_a_body_are_ignored(system: System) -> None:
    answer = _post(system.orders.http, "/orders", '{"customerId": -1, "orderTotal": {"amount": 4}, "remark": "soon"}')
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "order_id", ["abc", "1.5", "1e3", "0x10", "%20", "9" * 19, "-" + "9" * 19, "9" * 300, "%D9%A1"]
)
def test_an_id_in_the_path_that_is_not_an_integer_of_64_bits_is_refused(system: System, order_id: str) -> None:
    assert_problem(system.orders.http.get(f"/orders/{order_id}"), 400, "orderId")
    assert_problem(system.orders.http.post(f"/orders/{order_id}/cancel"), 400, "orderId")
    assert_problem(system.history.http.get(f"/orders/{order_id}"), 400, "orderId")
    assert_problem(system.customers.http.get(f"/customers/{order_id}"), 400, "customerId")
    assert_problem(system.history.http.get(f"/customers/{order_id}"), 400, "customerId")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=1001", "limit"),
        ("limit=many", "limit"),
        ("limit=", "limit"),
        ("after=x", "after"),
        ("after=99999999999999999999", "after"),
        ("customerId=x", "customerId"),
        ("state=approved", "state"),
        ("state=", "state"),
    ],
)
def test_a_query_parameter_that_cannot_be_read_is_refused(system: System, query: str, field: str) -> None:
    assert_problem(system.orders.http.get(f"/orders?{query}"), 400, field)


@pytest.mark.parametrize("key", ["", "k" * 256, "caf\u00e9".encode("latin-1")])
def test_an_idempotency_key_that_is_empty_too_long_or_not_ascii_is_refused(system: System, key: Any) -> None:
    answer = system.orders.http.post("/orders", content=_order(), headers={**JSON, "Idempotency-Key": key})
    assert_problem(answer, 400, "Idempotency-Key")


def _post(http: httpx.Client, path: str, body: str | bytes | Iterator[bytes]) -> httpx.Response:
    return http.post(path, content=body, headers=JSON)


def _order() -> bytes:
    return b'{"customerId": -1, "orderTotal": {"amount": 4}}'
