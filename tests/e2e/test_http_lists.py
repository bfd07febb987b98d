"""Lists: pages and filters."""

import pytest

from tests.checker import assert_converges
from tests.drivers import System, items, pages
from tests.eventually import eventually


@pytest.fixture(scope="module")
def customer(system: System) -> int:
    """A customer with seven orders: four approved, two rejected, one cancelled."""
    customer = system.customers.create(limit=20, name="Walker")
    totals = [4, 4, 100, 4, 4, 100, 4]
    orders = [system.orders.place(customer, total) for total in totals]
    for order in orders:
        system.orders.settled(order)
    system.orders.cancel(orders[-1])
    assert_converges(system, customer)
    return customer


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8, 1000])
def test_the_pages_of_a_customers_orders_have_each_order_once_in_ascending_order(
    system: System, customer: int, limit: int
) -> None:
    walked = list(pages(system.orders.http, f"/orders?customerId={customer}&limit={limit}"))
    ids = [order["orderId"] for page in walked for order in page["items"]]
    assert len(ids) == 7
    assert ids == sorted(set(ids))
    assert all(len(page["items"]) <= limit for page in walked)
    assert all("next" not in page for page in walked[-1:])


@pytest.mark.parametrize("limit", [1, 3, 7, 1000])
def test_the_pages_of_a_customers_history_have_each_order_once_the_newest_first(
    system: System, customer: int, limit: int
) -> None:
    walked = items(system.history.http, f"/customers/{customer}/orders?limit={limit}")
    ids = [order["orderId"] for order in walked]
    assert len(ids) == 7
    assert ids == sorted(set(ids), reverse=True)


def test_an_item_of_the_order_list_has_customer_state_total_and_rejection_reason(system: System, customer: int) -> None:
    [first, _, rejected, *_] = system.orders.of(customer)
    known = {"customerId": customer, "orderState": "APPROVED", "orderTotal": {"amount": 4}}
    assert first == {"orderId": first["orderId"], **known}
    assert rejected["rejectionReason"] == "INSUFFICIENT_CREDIT"


@pytest.mark.parametrize(("state", "count"), [("APPROVED", 4), ("REJECTED", 2), ("CANCELLED", 1), ("PENDING", 0)])
@pytest.mark.parametrize("limit", [1, 1000])
def test_orders_are_filtered_by_customer_and_state(
    system: System, customer: int, state: str, count: int, limit: int
) -> None:
    found = list(items(system.orders.http, f"/orders?customerId={customer}&state={state}&limit={limit}"))
    assert len(found) == count
    assert all(order["orderState"] == state and order["customerId"] == customer for order in found)


def test_orders_are_filtered_by_state(system: System, customer: int) -> None:
    found = list(items(system.orders.http, "/orders?state=CANCELLED&limit=1000"))
    assert {order["orderState"] for order in found} == {"CANCELLED"}
    assert customer in {order["customerId"] for order in found}


def test_a_customer_without_orders_has_an_empty_list(system: System) -> None:
    customer = system.customers.create()
    assert system.orders.http.get(f"/orders?customerId={customer}").json() == {"items": []}

    def check() -> None:
        answer = system.history.http.get(f"/customers/{customer}/orders")
        assert (answer.status_code, answer.json()) == (200, {"items": []})

    eventually(check)


@pytest.mark.parametrize("limit", [2, 1000])
def test_the_pages_of_the_customers_have_each_customer_once(system: System, limit: int) -> None:
    created = {system.customers.create(limit=1) for _ in range(5)}
    walked = items(system.customers.http, f"/customers?limit={limit}&after={min(created) - 1}")
    assert {customer["customerId"] for customer in walked} == created


def test_a_page_has_fifty_customers_by_default(system: System) -> None:
    created = [system.customers.create(limit=1) for _ in range(51)]
    first = next(pages(system.customers.http, f"/customers?after={created[0] - 1}"))
    assert [customer["customerId"] for customer in first["items"]] == created[:50]
    assert first["next"] == f"/customers?after={created[49]}"


def test_the_history_counts_all_customers(system: System) -> None:
    system.customers.create()
    existing = len(list(items(system.customers.http, "/customers?limit=1000")))

    def check() -> None:
        assert system.history.count() == existing

    eventually(check)


def test_a_customers_page_shows_the_newest_hundred_orders_and_the_list_shows_all(system: System) -> None:
    customer = system.customers.create(limit=1)
    orders = [system.orders.place(customer, total=2) for _ in range(101)]
    assert_converges(system, customer)
    assert set(system.history.customer(customer)["orders"]) == set(map(str, orders[1:]))
    assert [order["orderId"] for order in system.history.orders(customer)] == orders[::-1]
