"""A request that is repeated with its Idempotency-Key is carried out once."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from tests.drivers import Json, System
from tests.e2e.problems import assert_problem


@pytest.fixture
def key() -> str:
    return str(uuid4())


def test_a_repeated_order_gets_the_first_answer_and_is_placed_once(system: System, key: str) -> None:
    customer = system.customers.create()
    first, again = (_place(system, customer, 4, key) for _ in range(2))
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert len(system.orders.of(customer)) == 1


def test_a_body_with_other_spacing_and_field_order_is_the_same_request(system: System, key: str) -> None:
    customer = system.customers.create()
    first = _place(system, customer, 4, key)
    body = f' {{"orderTotal" : {{"amount":4.00}}, "customerId":{customer}}} '
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    again = system.orders.http.post("/orders", content=body, headers=headers)
    assert again.json() == first.json()


def test_the_same_key_with_another_order_is_refused(system: System, key: str) -> None:
    customer = system.customers.create()
    _place(system, customer, 4, key)
    assert_problem(_place(system, customer, 5, key), 422)
    assert len(system.orders.of(customer)) == 1


def test_a_request_that_was_refused_does_not_use_its_key(system: System, key: str) -> None:
    customer = system.customers.create()
    assert_problem(_place(system, customer, -4, key), 400, "orderTotal.amount")
    assert _place(system, customer, 4, key).status_code == 200


def test_concurrent_requests_with_one_key_place_one_order(system: System, key: str) -> None:
    customer = system.customers.create()
    with ThreadPoolExecutor(12) as clients:
        answers = list(clients.map(lambda _: _place(system, customer, 4, key), range(24)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(system.orders.of(customer)) == 1


def test_two_requests_without_a_key_place_two_orders(system: System) -> None:
    customer = system.customers.create()
    assert system.orders.place(customer) != system.orders.place(customer)


def test_a_repeated_customer_gets_the_first_answer_and_is_created_once(system: System, key: str) -> None:
    first, again = (_create(system, "Jane", key) for _ in range(2))
    assert first.status_code == 200
    assert first.content == again.content
    assert_problem(_create(system, "Joan", key), 422)


def test_a_key_that_one_service_has_stored_is_unknown_to_the_other(system: System, key: str) -> None:
    created: Json = _create(system, "Jane", key).json()
    assert _place(system, created["customerId"], 4, key).status_code == 200


def _place(system: System, customer: int, total: float, key: str) -> httpx.Response:
    body = {"customerId": customer, "orderTotal": {"amount": total}}
    return system.orders.http.post("/orders", json=body, headers={"Idempotency-Key": key})


def _create(system: System, name: str, key: str) -> httpx.Response:
    body = {"name": name, "creditLimit": {"amount": 5}}
    return system.customers.http.post("/customers", json=body, headers={"Idempotency-Key": key})
