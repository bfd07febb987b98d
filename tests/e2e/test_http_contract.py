"""The answer to each request of the README's table of APIs."""

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from infra.native import Stack
from tests.drivers import System, stopped
from tests.e2e.problems import assert_problem
from tests.eventually import eventually

UNKNOWN_ID = 2**63 - 1


def test_a_customer_is_read_as_it_was_created(system: System) -> None:
    created = system.customers.http.post("/customers", json={"name": "Jane Doe", "creditLimit": {"amount": 5}})
    customer = created.json()["customerId"]
    assert created.status_code == 200
    assert created.json() == {"customerId": customer}
    assert system.customers.http.get(f"/customers/{customer}").json() == {
        "customerId": customer,
        "name": "Jane Doe",
        "creditLimit": {"amount": 5},
        "availableCredit": {"amount": 5},
    }


@pytest.mark.parametrize("name", ["Zoë \u2603 \U0001f600", "x" * 200, "O'Neil; DROP TABLE customers --", "$version"])
def test_a_name_is_returned_unchanged_by_the_customer_service_and_the_history(system: System, name: str) -> None:
    customer = system.customers.create(name=name)
    assert system.customers.read(customer)["name"] == name

    def check() -> None:
        assert system.history.http.get(f"/customers/{customer}").json().get("name") == name

    eventually(check)


def test_a_customer_without_credit_can_be_created(system: System) -> None:
    assert system.customers.available(system.customers.create(limit=0)) == 0


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("4", "4"),
        ("12.34", "12.34"),
        ("0.01", "0.01"),
        ("4.5", "4.5"),
        ("4.00", "4"),
        ("1e2", "100"),
        ("9999999999999.99", "9999999999999.99"),
        ("10000000000000", "10000000000000"),
    ],
)
def test_an_amount_is_returned_exactly(system: System, sent: str, shown: str) -> None:
    customer = system.customers.create(limit=10**13)
    body = f'{{"customerId": {customer}, "orderTotal": {{"amount": {sent}}}}}'
    placed = system.orders.http.post("/orders", content=body, headers={"Content-Type": "application/json"})
    order = placed.json()["orderId"]
    assert f'"orderTotal":{{"amount":{shown}}}' in system.orders.http.get(f"/orders?customerId={customer}").text

    def check() -> None:
        assert f'"orderTotal":{{"amount":{shown}}}' in system.history.http.get(f"/orders/{order}").text

    eventually(check)


def test_an_order_of_an_unknown_customer_is_placed(system: System) -> None:
    placed = system.orders.http.post("/orders", json={"customerId": -1, "orderTotal": {"amount": 4}})
    assert placed.status_code == 200
    assert placed.json() == {"orderId": placed.json()["orderId"]}


def test_a_get_that_prefers_to_wait_is_answered_when_the_order_is_final(system: System) -> None:
    order = system.orders.place(system.customers.create())
    answer = system.orders.http.get(f"/orders/{order}", headers={"Prefer": "wait=30"})
    assert answer.json()["orderState"] == "APPROVED"
    assert answer.headers["preference-applied"] == "wait=30"


def test_a_post_that_prefers_to_wait_is_answered_with_the_orders_final_state(system: System) -> None:
    body = {"customerId": system.customers.create(limit=5), "orderTotal": {"amount": 4}}
    approved, rejected = [system.orders.http.post("/orders", json=body, headers={"Prefer": "wait=30"}) for _ in "12"]
    assert approved.json() == {"orderId": approved.json()["orderId"], "orderState": "APPROVED"}
    assert approved.headers["preference-applied"] == "wait=30"
    assert rejected.json() == {
        "orderId": rejected.json()["orderId"],
        "orderState": "REJECTED",
        "rejectionReason": "INSUFFICIENT_CREDIT",
    }


def test_a_repeated_post_with_an_idempotency_key_that_prefers_to_wait_gets_the_same_answer(system: System) -> None:
    body = {"customerId": system.customers.create(limit=5), "orderTotal": {"amount": 4}}
    headers = {"Prefer": "wait=30", "Idempotency-Key": secrets.token_hex()}
    first, again = [system.orders.http.post("/orders", json=body, headers=headers).json() for _ in "12"]
    assert first == again == {"orderId": first["orderId"], "orderState": "APPROVED"}


def test_a_post_whose_wait_ends_before_the_decision_is_answered_with_the_pending_order(
    system: System, stack: Stack
) -> None:
    body = {"customerId": system.customers.create(), "orderTotal": {"amount": 4}}
    with stopped(stack, "customer"):
        answer = system.orders.http.post("/orders", json=body, headers={"Prefer": "wait=0"})
        assert answer.json() == {"orderId": answer.json()["orderId"], "orderState": "PENDING"}


def test_a_get_without_the_preference_is_answered_at_once_with_the_pending_order(system: System, stack: Stack) -> None:
    customer = system.customers.create()
    with stopped(stack, "customer"), ThreadPoolExecutor(1) as client:
        order = system.orders.place(customer)
        waiting = client.submit(system.orders.settled, order)
        answer = system.orders.http.get(f"/orders/{order}")
        assert answer.json() == {"orderId": order, "orderState": "PENDING"}
        assert "preference-applied" not in answer.headers
        short = system.orders.http.get(f"/orders/{order}", headers={"Prefer": "respond-async, wait=0"})
        assert short.json() == {"orderId": order, "orderState": "PENDING"}
        stack.start("customer")
        assert waiting.result()["orderState"] == "APPROVED"


def test_cancelling_a_cancelled_order_gives_the_same_answer(system: System) -> None:
    order = system.orders.place(system.customers.create())
    first = system.orders.cancel(order)
    assert first == {"orderId": order, "orderState": "CANCELLED"}
    assert system.orders.cancel(order) == first


def test_a_rejected_order_cannot_be_cancelled(system: System) -> None:
    order = system.orders.place(system.customers.create(limit=1))
    assert system.orders.settled(order)["orderState"] == "REJECTED"
    assert_problem(system.orders.http.post(f"/orders/{order}/cancel"), 409)
    assert system.orders.read(order)["orderState"] == "REJECTED"


def test_the_history_shows_a_rejected_order_with_its_reason(system: System) -> None:
    customer = system.customers.create(limit=1)
    order = system.orders.place(customer, total=1.5)
    shown = {
        "orderId": order,
        "customerId": customer,
        "state": "REJECTED",
        "rejectionReason": "INSUFFICIENT_CREDIT",
        "orderTotal": {"amount": 1.5},
    }

    def check() -> None:
        assert system.history.http.get(f"/orders/{order}").json() == shown

    eventually(check)


@pytest.mark.parametrize("service", ["customers", "orders", "history"])
def test_a_running_service_answers_that_it_is_live_and_ready(system: System, service: str) -> None:
    http = getattr(system, service).http
    assert http.get("/health/live").json() == {"status": "live"}
    assert http.get("/health/ready").json() == {"status": "ready"}


@pytest.mark.parametrize(
    ("service", "method", "path"),
    [
        ("customers", "GET", f"/customers/{UNKNOWN_ID}"),
        ("customers", "GET", "/customers/-1"),
        ("customers", "GET", "/nothing"),
        ("orders", "GET", f"/orders/{UNKNOWN_ID}"),
        ("orders", "POST", f"/orders/{UNKNOWN_ID}/cancel"),
        ("orders", "GET", "/"),
        ("history", "GET", f"/customers/{UNKNOWN_ID}"),
        ("history", "GET", f"/customers/{UNKNOWN_ID}/orders"),
        ("history", "GET", f"/orders/{UNKNOWN_ID}"),
        ("history", "GET", "/orders"),
    ],
)
def test_an_unknown_id_or_path_is_a_404(system: System, service: str, method: str, path: str) -> None:
    assert_problem(getattr(system, service).http.request(method, path), 404)


@pytest.mark.parametrize(
    ("service", "method", "path", "allowed"),
    [
        ("customers", "DELETE", "/customers", {"GET", "HEAD", "POST"}),
        ("customers", "PUT", "/customers/1", {"GET", "HEAD"}),
        ("orders", "PATCH", "/orders", {"GET", "HEAD", "POST"}),
        ("orders", "DELETE", "/orders/1", {"GET", "HEAD"}),
        ("orders", "GET", "/orders/1/cancel", {"POST"}),
        ("history", "POST", "/customers/count", {"GET", "HEAD"}),
        ("history", "DELETE", "/customers/1", {"GET", "HEAD"}),
    ],
)
def test_a_method_that_is_not_allowed_is_a_405_that_names_the_allowed_ones(
    system: System, service: str, method: str, path: str, allowed: set[str]
) -> None:
    answer = getattr(system, service).http.request(method, path)
    assert_problem(answer, 405)
    assert {name.strip() for name in answer.headers["allow"].split(",")} == allowed
