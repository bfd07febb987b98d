"""The customer service's HTTP side."""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts.money import to_amount
from contracts.trace_context import valid_traceparent
from services.customer import handlers
from services.customer.domain import Customer
from services.customer.ports import CustomerRepository
from services.customer.requests import CreateCustomer
from web.answers import JsonResponse
from web.bodies import read_body
from web.pages import page_body, requested_page
from web.parameters import idempotency_key, path_id
from web.problems import NotFound


class CustomerApi:
    """The requests that the customer service answers."""

    def __init__(self, customers: CustomerRepository) -> None:
        self._customers = customers

    def routes(self) -> Sequence[Route]:
        return [
            Route("/customers", self.create_customer, methods=["POST"]),
            Route("/customers", self.list_customers, methods=["GET"]),
            Route("/customers/{customerId}", self.get_customer, methods=["GET"]),
        ]

    async def create_customer(self, request: Request) -> Response:
        """POST /customers"""
        key = idempotency_key(request)
        command = await read_body(request, CreateCustomer)
        traceparent = valid_traceparent(request.headers.get("traceparent"))
        customer_id = await handlers.create_customer(self._customers, command, key, traceparent)
        return JsonResponse({"customerId": customer_id})

    async def get_customer(self, request: Request) -> Response:
        """GET /customers/{customerId}"""
        customer_id = path_id(request, "customerId")
        customer = await self._customers.find_customer(customer_id)
        if customer is None:
            raise NotFound(f"there is no customer {customer_id}")
        return JsonResponse(_body(customer))

    async def list_customers(self, request: Request) -> Response:
        """GET /customers?limit=&after="""
        page = requested_page(request)
        customers = await self._customers.list_customers(page.ascending_start(), page.limit)
        last_id = customers[-1].id if customers else None
        return JsonResponse(page_body(request, page, [_body(customer) for customer in customers], last_id))


def _body(customer: Customer) -> dict[str, Any]:
    return {
        "customerId": customer.id,
        "name": customer.name,
        "creditLimit": {"amount": to_amount(customer.credit_limit)},
        "availableCredit": {"amount": to_amount(customer.available)},
    }
