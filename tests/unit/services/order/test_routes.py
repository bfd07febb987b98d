import json
from types import SimpleNamespace
from typing import Any

from services.order.domain import Order
from services.order.routes import create_order
from services.order.waiting import Waiting
from tests.unit.web.requests import request

HEADERS = {"Content-Type": "application/json", "Prefer": "wait=0"}
BODY = b'{"customerId": 1, "orderTotal": {"amount": 4}}'


async def _placed(_: Any) -> int:
    return 42


async def _database_is_away(_: int) -> Order | None:
    raise ConnectionRefusedError


async def test_an_order_is_told_of_as_placed_even_if_its_state_cannot_be_read_any_more() -> None:
    post = request(headers=HEADERS, body=[BODY])
    post.scope["state"] = {
        "placing": SimpleNamespace(submit=_placed),
        "waiting": Waiting(),
        "repository": SimpleNamespace(find_order=_database_is_away),
    }
    answer = await create_order(post)
    assert json.loads(bytes(answer.body)) == {"orderId": 42}
    assert "preference-applied" not in answer.headers
