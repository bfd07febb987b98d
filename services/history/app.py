"""The history service put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.applications import Starlette

from messaging.streams import DurableConsumer
from messaging.subscriber import Subscriber
from services.history.handlers import handle_events
from services.history.routes import routes
from services.history.settings import Settings
from services.history.subscriptions import EVERYTHING
from services.history.views import TRANSIENT_ERRORS, Views
from services.history.wipes import notice_wipes
from web.health import health_routes
from web.problems import exception_handlers
from web.server import background


def create_app(settings: Settings) -> Starlette:
    """The service as an ASGI application; its resources open and close with its lifespan."""
    parts: dict[str, Any] = {}

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:  # noqa: ARG001 - Starlette's signature
        with closing(Views(settings.mongodb_url.get_secret_value())) as views:

            async def prepare() -> DurableConsumer:
                return replace(EVERYTHING, store=await views.prepare())

            subscriber = Subscriber(
                settings.nats_url,
                settings.nats_token.get_secret_value(),
                "history",
                prepare,
                partial(handle_events, views),
                TRANSIENT_ERRORS,
            )
            parts.update(database=views.ping, consumer=subscriber.fault)
            async with (
                background(notice_wipes(views, subscriber.start_over), "watch over the view"),
                background(subscriber.run(), "subscriber", subscriber.stop),
            ):
                yield {"views": views}

    return Starlette(
        routes=[*routes, *health_routes(parts)],
        lifespan=lifespan,
        exception_handlers=exception_handlers(TRANSIENT_ERRORS),
    )
