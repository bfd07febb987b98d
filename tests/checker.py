"""What has to hold once the traffic has stopped: the three services tell the same story."""

from decimal import Decimal

from tests.drivers import Json, System
from tests.eventually import eventually


def assert_converges(system: System, customer_id: int, within: float = 30.0) -> None:
    """The credit adds up and the view agrees, soon."""
    eventually(lambda: assert_credit_adds_up(system, customer_id), within)
    eventually(lambda: assert_view_agrees(system, customer_id), within)


def assert_credit_adds_up(system: System, customer_id: int) -> None:
    """Reserved credit is the sum of the approved orders, and within the limit."""
    customer = system.customers.read(customer_id)
    limit, available = _amount(customer["creditLimit"]), _amount(customer["availableCredit"])
    orders = system.orders.of(customer_id)
    pending = [order["orderId"] for order in orders if order["orderState"] == "PENDING"]
    assert not pending
    approved = sum(_amount(order["orderTotal"]) for order in orders if order["orderState"] == "APPROVED")
    assert limit - available == approved
    assert 0 <= available <= limit


def assert_view_agrees(system: System, customer_id: int) -> None:
    """The history shows this customer and all of its orders as their services do."""
    orders = {order["orderId"]: _as_in_history(order) for order in system.orders.of(customer_id)}
    assert {order["orderId"]: order for order in system.history.orders(customer_id)} == orders
    customer = system.customers.read(customer_id)
    newest = sorted(orders, reverse=True)[:100]
    assert system.history.customer(customer_id) == {
        "id": customer_id,
        "name": customer["name"],
        "creditLimit": customer["creditLimit"],
        "orders": {str(order_id): orders[order_id] for order_id in newest},
    }


def _as_in_history(order: Json) -> Json:
    shown = {"orderId": order["orderId"], "state": order["orderState"], "orderTotal": order["orderTotal"]}
    reason = order.get("rejectionReason")
    return shown | ({"rejectionReason": reason} if reason else {})


def _amount(money: Json) -> Decimal:
    return Decimal(str(money["amount"]))
