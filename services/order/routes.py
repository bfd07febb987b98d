"""The order service's HTTP side."""

import logging
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts.money import to_amount
from messaging.envelope import valid_traceparent
from messaging.postgres import TRANSIENT_ERRORS
from services.order import handlers
from services.order.domain import NotCancellable, Order, OrderState
from services.order.repository import Repository
from services.order.requests import CreateOrder
from web.answers import JsonResponse
from web.bodies import read_body
from web.pages import page_body, requested_page
from web.parameters import idempotency_key, optional_choice, optional_int64, path_id, preferred_wait
from web.problems import Conflict, NotFound

log = logging.getLogger(__name__)


async def create_order(request: Request) -> Response:
    """POST /orders; with `Prefer: wait=5` the answer has the order's state, as soon as it is final."""
    key = idempotency_key(request)
    seconds = preferred_wait(request)
    command = await read_body(request, CreateOrder)
    if key:
        order_id = await handlers.create_order(_repository(request), command, key, _traceparent(request))
    else:
        order_id = await request.state.placing.submit(handlers.Placement(command, _traceparent(request)))
    if seconds is not None:
        try:
            return await _settled(request, order_id, seconds, just_placed=not key)
        except TRANSIENT_ERRORS as error:
            # The order is placed, and its client must learn of it, even if its state cannot be read now.
            log.warning("order %d: not waited for: %r", order_id, error)
    return JsonResponse({"orderId": order_id})


async def get_order(request: Request) -> Response:
    """GET /orders/{orderId}; with `Prefer: wait=5` as soon as the order's state is final."""
    order_id = path_id(request, "orderId")
    seconds = preferred_wait(request)
    if seconds is None:
        return JsonResponse(_body(_found(await _repository(request).find_order(order_id), order_id)))
    return await _settled(request, order_id, seconds)


async def list_orders(request: Request) -> Response:
    """GET /orders?customerId=&state=&limit=&after="""
    page = requested_page(request)
    customer_id = optional_int64(request, "customerId")
    state = optional_choice(request, "state", OrderState)
    orders = await _repository(request).list_orders(page.ascending_start(), page.limit, customer_id, state)
    items = [_body(order) | _list_details(order) for order in orders]
    return JsonResponse(page_body(request, page, items, orders[-1].id if orders else None))


async def cancel_order(request: Request) -> Response:
    """POST /orders/{orderId}/cancel"""
    order_id = path_id(request, "orderId")
    try:
        order = await handlers.cancel_order(
            _repository(request), request.state.waiting, order_id, _traceparent(request)
        )
    except NotCancellable as error:
        raise Conflict(str(error)) from error
    return JsonResponse(_body(_found(order, order_id)))


routes = [
    Route("/orders", create_order, methods=["POST"]),
    Route("/orders", list_orders, methods=["GET"]),
    Route("/orders/{orderId}", get_order, methods=["GET"]),
    Route("/orders/{orderId}/cancel", cancel_order, methods=["POST"]),
]


async def _settled(request: Request, order_id: int, seconds: float, *, just_placed: bool = False) -> Response:
    find = _repository(request).find_order
    order = await request.state.waiting.until_settled(find, order_id, seconds, just_placed=just_placed)
    return JsonResponse(_body(_found(order, order_id)), headers={"Preference-Applied": f"wait={seconds:.0f}"})


def _repository(request: Request) -> Repository:
    repository: Repository = request.state.repository
    return repository


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
