"""The user's story: orders within the credit, orders beyond it, and cancelled orders."""

from infra.native import Stack
from tests.checker import assert_converges
from tests.drivers import System, stopped
from tests.eventually import eventually


def test_an_order_within_the_credit_is_approved_and_its_total_reserved(system: System) -> None:
    customer = system.customers.create(limit=5)
    order = system.orders.place(customer, total=4)
    assert system.orders.settled(order) == {"orderId": order, "orderState": "APPROVED"}
    assert system.customers.available(customer) == 1
    assert_converges(system, customer)


def test_an_order_of_exactly_the_credit_is_approved(system: System) -> None:
    customer = system.customers.create(limit=12.34)
    order = system.orders.place(customer, total=12.34)
    assert system.orders.settled(order)["orderState"] == "APPROVED"
    assert system.customers.available(customer) == 0


def test_an_order_beyond_the_credit_is_rejected_and_reserves_nothing(system: System) -> None:
    customer = system.customers.create(limit=5)
    order = system.orders.place(customer, total=5.01)
    rejected = {"orderId": order, "orderState": "REJECTED", "rejectionReason": "INSUFFICIENT_CREDIT"}
    assert system.orders.settled(order) == rejected
    assert system.customers.available(customer) == 5
    assert_converges(system, customer)


def test_a_second_order_is_decided_by_the_credit_that_the_first_has_left(system: System) -> None:
    customer = system.customers.create(limit=10)
    first, second, third = (_settled(system, customer, total) for total in (6, 6, 4))
    assert [first, second, third] == ["APPROVED", "REJECTED", "APPROVED"]
    assert_converges(system, customer)


def test_an_order_of_an_unknown_customer_is_rejected(system: System) -> None:
    order = system.orders.place(customer_id=-1)
    rejected = {"orderId": order, "orderState": "REJECTED", "rejectionReason": "UNKNOWN_CUSTOMER"}
    assert system.orders.settled(order) == rejected


def test_cancelling_an_approved_order_releases_its_credit(system: System) -> None:
    customer = system.customers.create(limit=5)
    order = system.orders.place(customer, total=5)
    assert system.orders.settled(order)["orderState"] == "APPROVED"
    assert system.orders.cancel(order) == {"orderId": order, "orderState": "CANCELLED"}
    assert_converges(system, customer)
    assert system.customers.available(customer) == 5
    assert _settled(system, customer, total=5) == "APPROVED"


def test_an_order_that_is_cancelled_while_it_is_pending_reserves_no_credit(system: System, stack: Stack) -> None:
    customer = system.customers.create(limit=5)
    with stopped(stack, "customer"):
        order = system.orders.place(customer, total=5)
        assert system.orders.read(order)["orderState"] == "PENDING"
        assert system.orders.cancel(order)["orderState"] == "CANCELLED"
    assert_converges(system, customer)
    assert _settled(system, customer, total=5) == "APPROVED"


def test_orders_stay_pending_while_the_customer_service_is_down_and_are_decided_afterwards(
    system: System, stack: Stack
) -> None:
    customer = system.customers.create(limit=8)
    with stopped(stack, "customer"):
        orders = [system.orders.place(customer, total=4) for _ in range(3)]
        assert {system.orders.read(order)["orderState"] for order in orders} == {"PENDING"}
    states = sorted(system.orders.settled(order)["orderState"] for order in orders)
    assert states == ["APPROVED", "APPROVED", "REJECTED"]
    assert_converges(system, customer)


def test_the_history_shows_the_customer_with_its_orders(system: System) -> None:
    customer = system.customers.create(limit=100, name="Chris")
    order = system.orders.place(customer, total=4)
    shown = {
        "id": customer,
        "orders": {str(order): {"orderId": order, "state": "APPROVED", "orderTotal": {"amount": 4}}},
        "name": "Chris",
        "creditLimit": {"amount": 100},
    }

    def check() -> None:
        assert system.history.http.get(f"/customers/{customer}").json() == shown

    eventually(check)


def _settled(system: System, customer: int, total: float) -> str:
    state: str = system.orders.settled(system.orders.place(customer, total))["orderState"]
    return state
