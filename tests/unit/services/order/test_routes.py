from typing import Any

from services.order.handlers import Placement
from services.order.routes import OrderApi
from services.order.waiting import Waiting
from tests.asgi import client_of
from tests.unit.services.order.ports import FakeOrders
from web.application import Service, http_app

BODY = {"customerId": 1, "orderTotal": {"amount": 4}}


class Placing:
    """Places every order as number 42."""

    async def submit(self, placement: Placement) -> int:  # noqa: ARG002 - all are the same
        return 42


async def test_an_order_that_was_placed_is_answered_with_its_id_even_if_its_state_cannot_be_read() -> None:
    orders, placing = FakeOrders(), Placing()
    orders.away = ConnectionRefusedError()
    anything: Any = placing
    service = Service(workers={}, checks={}, routes=OrderApi(orders, anything, Waiting()).routes())
    answer = await client_of(http_app(service)).post("/orders", json=BODY, headers={"Prefer": "wait=0"})
    assert answer.json() == {"orderId": 42}
    assert "preference-applied" not in answer.headers
