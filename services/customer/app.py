"""The customer service put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
from starlette.applications import Starlette

from messaging import outbox
from messaging.housekeeping import housekeeping
from messaging.postgres import TRANSIENT_ERRORS, apply_schema, is_reachable, open_pool
from messaging.streams import DurableConsumer
from messaging.subscriber import Subscriber
from services.customer.handlers import handle_order_events
from services.customer.repository import Repository
from services.customer.routes import routes
from services.customer.settings import Settings
from services.customer.subscriptions import ORDERS
from web import idempotency
from web.health import health_routes
from web.problems import exception_handlers
from web.server import background

SCHEMA = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")

# Two instances that decide the same order at the same moment: the later one has to look again.
HANDLER_TRANSIENT: tuple[type[Exception], ...] = (*TRANSIENT_ERRORS, asyncpg.UniqueViolationError)


def create_app(settings: Settings) -> Starlette:
    """The service as an ASGI application; its resources open and close with its lifespan."""
    parts: dict[str, Any] = {}

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:  # noqa: ARG001 - Starlette's signature
        async with await open_pool(settings.database_url.get_secret_value(), "customer") as pool:
            repository = Repository(pool)

            async def prepare() -> DurableConsumer:
                await apply_schema(pool, SCHEMA)
                return ORDERS

            subscriber = Subscriber(
                settings.nats_url,
                settings.nats_token.get_secret_value(),
                "customer",
                prepare,
                partial(handle_order_events, repository),
                HANDLER_TRANSIENT,
            )
            chores = {
                "outbox": partial(outbox.delete_expired, pool, settings.outbox_retention),
                "idempotency keys": partial(idempotency.delete_expired, pool, settings.idempotency_retention),
            }
            parts.update(database=partial(is_reachable, pool), consumer=subscriber.fault)
            async with (
                background(housekeeping(chores), "housekeeping"),
                background(subscriber.run(), "subscriber", subscriber.stop),
            ):
                yield {"repository": repository}

    return Starlette(
        routes=[*routes, *health_routes(parts)],
        lifespan=lifespan,
        exception_handlers=exception_handlers(TRANSIENT_ERRORS),
    )
