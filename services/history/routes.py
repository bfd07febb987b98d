"""The history service's HTTP side."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts.money import to_amount
from services.history.views import Document, Views
from web.answers import JsonResponse
from web.pages import page_body, requested_page
from web.parameters import path_id
from web.problems import NotFound


async def get_customer(request: Request) -> Response:
    """GET /customers/{customerId}: the customer with the newest orders."""
    customer_id = path_id(request, "customerId")
    found = await _views(request).find_customer(customer_id)
    if found is None:
        raise _unknown_customer(customer_id)
    customer, orders = found
    return JsonResponse(
        {
            "id": customer_id,
            "orders": {str(order["_id"]): _order(order) for order in orders},
            "name": customer["name"],
            "creditLimit": {"amount": to_amount(customer["creditLimit"])},
        }
    )


async def count_customers(request: Request) -> Response:
    """GET /customers/count"""
    return JsonResponse({"count": await _views(request).count_customers()})


async def list_orders(request: Request) -> Response:
    """GET /customers/{customerId}/orders?limit=&after=: the whole history, newest first."""
    customer_id = path_id(request, "customerId")
    page = requested_page(request)
    orders = await _views(request).list_orders(customer_id, page.after, page.limit)
    if orders is None:
        raise _unknown_customer(customer_id)
    items = [_order(order) for order in orders]
    return JsonResponse(page_body(request, page, items, orders[-1]["_id"] if orders else None))


async def get_order(request: Request) -> Response:
    """GET /orders/{orderId}"""
    order_id = path_id(request, "orderId")
    order = await _views(request).find_order(order_id)
    if order is None:
        raise NotFound(f"the history knows no order {order_id} (a new one takes a moment to get here)")
    return JsonResponse(_order(order) | {"customerId": order["customerId"]})


routes = [
    Route("/customers/count", count_customers),
    Route("/customers/{customerId}", get_customer),
    Route("/customers/{customerId}/orders", list_orders),
    Route("/orders/{orderId}", get_order),
]


def _views(request: Request) -> Views:
    views: Views = request.state.views
    return views


def _unknown_customer(customer_id: int) -> NotFound:
    return NotFound(f"the history knows no customer {customer_id} (a new one takes a moment to get here)")


def _order(order: Document) -> dict[str, Any]:
    body = {
        "orderId": order["_id"],
        "state": order["state"],
        "orderTotal": {"amount": to_amount(order["total"])},
    }
    if order["reason"]:
        body["rejectionReason"] = order["reason"]
    return body
