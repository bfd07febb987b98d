"""The history service's HTTP side."""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts.money import to_amount
from services.history.ports import Document, Views
from web.answers import JsonResponse
from web.pages import page_body, requested_page
from web.parameters import path_id
from web.problems import NotFound


class HistoryApi:
    """The requests that the history service answers."""

    def __init__(self, views: Views) -> None:
        self._views = views

    def routes(self) -> Sequence[Route]:
        return [
            Route("/customers/count", self.count_customers),
            Route("/customers/{customerId}", self.get_customer),
            Route("/customers/{customerId}/orders", self.list_orders),
            Route("/orders/{orderId}", self.get_order),
        ]

    async def get_customer(self, request: Request) -> Response:
        """GET /customers/{customerId}: the customer with its newest orders."""
        customer_id = path_id(request, "customerId")
        found = await self._views.find_customer(customer_id)
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

    async def count_customers(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's signature
        """GET /customers/count"""
        return JsonResponse({"count": await self._views.count_customers()})

    async def list_orders(self, request: Request) -> Response:
        """GET /customers/{customerId}/orders?limit=&after=: all orders, newest first."""
        customer_id = path_id(request, "customerId")
        page = requested_page(request)
        orders = await self._views.list_orders(customer_id, page.after, page.limit)
        if orders is None:
            raise _unknown_customer(customer_id)
        items = [_order(order) for order in orders]
        return JsonResponse(page_body(request, page, items, orders[-1]["_id"] if orders else None))

    async def get_order(self, request: Request) -> Response:
        """GET /orders/{orderId}"""
        order_id = path_id(request, "orderId")
        order = await self._views.find_order(order_id)
        if order is None:
            raise NotFound(f"the history knows no order {order_id} (a new one takes a moment to get here)")
        return JsonResponse(_order(order) | {"customerId": order["customerId"]})


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
