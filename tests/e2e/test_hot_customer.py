"""1,500 concurrent orders for one customer, whose credit is enough for half of them."""

from concurrent.futures import ThreadPoolExecutor

from tests.checker import assert_converges
from tests.drivers import System
from tests.eventually import eventually

ORDERS = 1_500
AFFORDABLE = 750
CLIENTS = 30


def test_exactly_as_many_concurrent_orders_are_approved_as_the_credit_allows(system: System) -> None:
    customer_id = system.customers.create(limit=AFFORDABLE)
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(lambda _: system.orders.place(customer_id, 1), range(ORDERS)))

    def all_are_settled() -> list[str]:
        states = [order["orderState"] for order in system.orders.of(customer_id)]
        assert len(states) == ORDERS
        assert "PENDING" not in states
        return states

    states = eventually(all_are_settled, within=60.0)
    assert states.count("APPROVED") == AFFORDABLE
    assert states.count("REJECTED") == ORDERS - AFFORDABLE
    assert system.customers.available(customer_id) == 0
    assert_converges(system, customer_id)
