"""The order service put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from messaging import outbox
from messaging.consumer import RetryPolicy
from messaging.group_commit import GroupCommit
from messaging.housekeeping import housekeeping
from messaging.postgres import TRANSIENT_ERRORS, apply_schema, is_reachable, open_pool
from messaging.streams import DurableConsumer
from messaging.subscriber import Subscriber
from services.order.handlers import create_orders, handle_credit_decisions, reject_overdue_orders
from services.order.repository import Repository
from services.order.routes import routes
from services.order.settings import Settings
from services.order.subscriptions import CREDIT_DECISIONS
from services.order.waiting import Waiting
from web import idempotency
from web.health import health_routes
from web.problems import exception_handlers
from web.server import background

SCHEMA = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")

DEADLINE_CHECK_SECONDS = 1.0


def create_app(settings: Settings) -> Starlette:
    """The service as an ASGI application; its resources open and close with its lifespan."""
    parts: dict[str, Any] = {}

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:  # noqa: ARG001 - Starlette's signature
        async with await open_pool(settings.database_url.get_secret_value(), "order") as pool:
            repository, waiting = Repository(pool), Waiting()

            async def prepare() -> DurableConsumer:
                await apply_schema(pool, SCHEMA)
                return CREDIT_DECISIONS

            subscriber = Subscriber(
                settings.nats_url,
                settings.nats_token.get_secret_value(),
                "order",
                prepare,
                partial(handle_credit_decisions, repository, waiting),
                TRANSIENT_ERRORS,
                RetryPolicy(attempts_unseen=settings.attempts_unseen),
            )
            chores = {
                "outbox": partial(outbox.delete_expired, pool, settings.outbox_retention),
                "idempotency keys": partial(idempotency.delete_expired, pool, settings.idempotency_retention),
            }
            parts.update(database=partial(is_reachable, pool), consumer=subscriber.fault)
            overdue = {"overdue orders": partial(reject_overdue_orders, repository, waiting, settings.order_deadline)}
            async with (
                background(housekeeping(chores), "housekeeping"),
                background(housekeeping(overdue, period=DEADLINE_CHECK_SECONDS), "deadline"),
                background(subscriber.run(), "subscriber", subscriber.stop),
            ):
                placing = GroupCommit(partial(create_orders, repository))
                yield {"repository": repository, "waiting": waiting, "placing": placing}

    return Starlette(
        routes=[*routes, *health_routes(parts)],
        lifespan=lifespan,
        exception_handlers=exception_handlers(TRANSIENT_ERRORS),
    )
