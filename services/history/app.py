"""The history service put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from messaging.connection import connect
from messaging.pace import Pace
from messaging.streams import DurableConsumer
from messaging.subscriber import Subscriber
from services.history.handlers import handle_events
from services.history.routes import routes
from services.history.settings import Settings
from services.history.subscriptions import place_of
from services.history.views import TRANSIENT_ERRORS, ViewBeingBuilt, Views
from services.history.watch import Watch
from web.health import health_routes
from web.problems import Unavailable, exception_handlers, problem_response
from web.server import background

PACE = Pace(for_each=0.003, times=6, longest=0.024, enough=50)
"""Nobody waits for the view as a saga waits for its consumers."""


def create_app(settings: Settings) -> Starlette:
    """The service as an ASGI application; its resources open and close with its lifespan."""
    parts: dict[str, Any] = {}
    nats = settings.nats_url, settings.nats_token.get_secret_value(), "history"

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:  # noqa: ARG001 - Starlette's signature
        with closing(Views(settings.mongodb_url.get_secret_value())) as views:

            def fill(generation: str) -> Subscriber:
                view = views.generation(generation)

                async def prepare() -> DurableConsumer:
                    await view.prepare()
                    return place_of(generation)

                return Subscriber(*nats, prepare, partial(handle_events, view), TRANSIENT_ERRORS, pace=PACE)

            watch = Watch(views, partial(connect, *nats), fill)
            parts.update(database=views.ping, view=watch.fault)
            async with background(watch.run(), "watch over the view", watch.stop):
                yield {"views": views}

    return Starlette(
        routes=[*routes, *health_routes(parts)],
        lifespan=lifespan,
        exception_handlers={**exception_handlers(TRANSIENT_ERRORS), ViewBeingBuilt: _on_view_being_built},
    )


async def _on_view_being_built(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    return problem_response(Unavailable("the view is being built; try again"))
