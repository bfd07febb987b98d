"""A service as an ASGI application: routes, health, errors as problems, and workers that run with its lifespan."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from runtime.workers import Worker, running, terminate
from web.health import HEALTH_PATH, Check, health_routes
from web.problems import Problem, Unavailable, exception_handlers, problem_response


@dataclass(frozen=True, slots=True)
class Service:
    """A service put together by its `service.py`.

    Attributes:
        workers: what runs beside the HTTP side, by name; started in this order and stopped in reverse.
        checks: what has to be well for the service to be ready, by name.
        routes: what it answers besides its health.
        outages: errors that mean "the database is away"; answered with 503.
        problems: which problem a client gets for an error of the domain or the storage, with the error's own text.
        unavailable: why no request can be served yet, answered with 503; None once they can.
    """

    workers: Mapping[str, Worker]
    checks: Mapping[str, Check]
    routes: Sequence[Route] = ()
    outages: tuple[type[Exception], ...] = ()
    problems: Mapping[type[Exception], Callable[[str], Problem]] = field(default_factory=dict)
    unavailable: Callable[[], str | None] = lambda: None


def http_app(service: Service) -> Starlette:
    """The HTTP side of a service. Its workers are not run."""
    translations = {error: _translated_to(problem) for error, problem in service.problems.items()}
    return Starlette(
        routes=[*service.routes, *health_routes(service.checks)],
        middleware=[Middleware(_Availability, service.unavailable)],
        exception_handlers={**exception_handlers(service.outages), **translations},
    )


def create_app(
    open_service: Callable[[], AbstractAsyncContextManager[Service]], end_process: Callable[[], None] = terminate
) -> ASGIApp:
    """The ASGI application of a process.

    Args:
        open_service: opens the ports, puts the service together, and closes the ports again.
        end_process: ends the process if a worker ends by itself.
    """
    http: list[Starlette] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001 - Starlette's signature
        async with open_service() as service, running(service.workers, end_process):
            http.append(http_app(service))
            yield

    opening = Starlette(lifespan=lifespan)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (opening if scope["type"] == "lifespan" else http[0])(scope, receive, send)

    return app


class _Availability:
    """Answers 503 in place of the routes while the service is unavailable; its health is always told."""

    def __init__(self, app: ASGIApp, unavailable: Callable[[], str | None]) -> None:
        self._app = app
        self._unavailable = unavailable

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reason = self._unavailable()
        if reason and not scope["path"].startswith(HEALTH_PATH):
            await problem_response(Unavailable(reason))(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _translated_to(problem: Callable[[str], Problem]) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
        return problem_response(problem(str(error)))

    return answer
