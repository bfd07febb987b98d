"""The order service's HTTP side."""

import logging
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts.money import to_amount
from contracts.trace_context import valid_traceparent
from runtime.group_commit import GroupCommit
from services.order import handlers
from services.order.domain import Order, OrderState
from services.order.handlers import Placement
from services.order.ports import OrderRepository
from services.order.requests import CreateOrder
from services.order.waiting import Waiting
from storage.postgres import TRANSIENT_ERRORS
from web.answers import JsonResponse
from web.bodies import read_body
from web.pages import page_body, requested_page
from web.parameters import idempotency_key, optional_choice, optional_int64, path_id, preferred_wait
from web.problems import NotFound

log = logging.getLogger(__name__)


class OrderApi:
    """The requests that the order service answers.

    Args:
        placing: places orders, many in one transaction.
        waiting: who waits for which order to become final.
    """

    def __init__(self, orders: OrderRepository, placing: GroupCommit[Placement, int], waiting: Waiting) -> None:
        self._orders = orders
        self._placing = placing
        self._waiting = waiting

    def routes(self) -> Sequence[Route]:
        return [
            Route("/orders", self.create_order, methods=["POST"]),
            Route("/orders", self.list_orders, methods=["GET"]),
            Route("/orders/{orderId}", self.get_order, methods=["GET"]),
            Route("/orders/{orderId}/cancel", self.cancel_order, methods=["POST"]),
        ]

    async def create_order(self, request: Request) -> Response:
        """POST /orders; with `Prefer: wait=5` the answer has the order's state, as soon as it is final."""
        key = idempotency_key(request)
        seconds = preferred_wait(request)
        command = await read_body(request, CreateOrder)
        order_id = await self._placing.submit(Placement(command, _traceparent(request), key))
        if seconds is not None:
            try:
                return await self._settled(order_id, seconds, just_placed=not key)
            except TRANSIENT_ERRORS as error:
                # The order is placed: its client must learn its id, even if its state cannot be read now.
                log.warning("order %d: placed, but its state cannot be read: %r", order_id, error)
        return JsonResponse({"orderId": order_id})

    async def get_order(self, request: Request) -> Response:
        """GET /orders/{orderId}; with `Prefer: wait=5` as soon as the order's state is final."""
        order_id = path_id(request, "orderId")
        seconds = preferred_wait(request)
        if seconds is None:
            return JsonResponse(_body(_found(await self._orders.find_order(order_id), order_id)))
        return await self._settled(order_id, seconds)

    async def list_orders(self, request: Request) -> Response:
        """GET /orders?customerId=&state=&limit=&after="""
        page = requested_page(request)
        customer_id = optional_int64(request, "customerId")
        state = optional_choice(request, "state", OrderState)
        orders = await self._orders.list_orders(page.ascending_start(), page.limit, customer_id, state)
        items = [_body(order) | _list_details(order) for order in orders]
        return JsonResponse(page_body(request, page, items, orders[-1].id if orders else None))

    async def cancel_order(self, request: Request) -> Response:
        """POST /orders/{orderId}/cancel"""
        order_id = path_id(request, "orderId")
        order = await handlers.cancel_order(self._orders, self._waiting, order_id, _traceparent(request))
        return JsonResponse(_body(_found(order, order_id)))

    async def _settled(self, order_id: int, seconds: float, *, just_placed: bool = False) -> Response:
        find = self._orders.find_order
        order = await self._waiting.until_settled(find, order_id, seconds, just_placed=just_placed)
        return JsonResponse(_body(_found(order, order_id)), headers={"Preference-Applied": f"wait={seconds:.0f}"})


def _traceparent(request: Request) -> str | None:
    return valid_traceparent(request.headers.get("traceparent"))


def _found(order: Order | None, order_id: int) -> Order:
    if order is None:
        raise NotFound(f"there is no order {order_id}")
    return order


def _body(order: Order) -> dict[str, Any]:
    body: dict[str, Any] = {"orderId": order.id, "orderState": order.state}
    if order.rejection_reason:
        body["rejectionReason"] = order.rejection_reason
    return body


def _list_details(order: Order) -> dict[str, Any]:
    return {"customerId": order.customer_id, "orderTotal": {"amount": to_amount(order.total)}}
