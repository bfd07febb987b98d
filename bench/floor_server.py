"""python -m bench.floor_server: POST /orders without a database, parsed and served as the order service does it."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runtime.serve import serve
from runtime.settings import ServerSettings
from services.order.requests import CreateOrder
from web.answers import JsonResponse
from web.bodies import read_body
from web.parameters import idempotency_key
from web.problems import exception_handlers


async def create_order(request: Request) -> Response:
    """POST /orders, and nothing is stored."""
    idempotency_key(request)
    command = await read_body(request, CreateOrder)
    return JsonResponse({"orderId": command.customer_id})


app = Starlette(routes=[Route("/orders", create_order, methods=["POST"])], exception_handlers=exception_handlers(()))

if __name__ == "__main__":
    serve(app, ServerSettings.read())
