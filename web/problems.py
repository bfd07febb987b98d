"""Errors as `application/problem+json` (RFC 9457).

    Problem                the request cannot be served; has the status, and what to do
    ├── BadInput           400, names each field that is wrong
    ├── NotFound           404
    ├── Conflict           409
    ├── Unprocessable      422
    └── Unavailable        503, with Retry-After

Any other exception becomes a 500 without internal details; the log has its traceback.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 1

TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
"""Names of RFC 9110; Python's names for these codes changed in 3.13."""


class Problem(Exception):
    """An error response.

    Attributes:
        status: HTTP status code.
        detail: what is wrong with this request, and what to do.
        extensions: further members of the problem object, e.g. `errors`.
        headers: HTTP headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        extensions: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.extensions = dict(extensions or {})
        self.headers = dict(headers or {})


class BadInput(Problem):
    """400: `errors` has a pair (field, what is wrong) for each error."""

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        self.errors = list(errors)
        detail = "; ".join(f"{field}: {message}" if field else message for field, message in errors)
        members = [{"field": field, "detail": message} for field, message in errors]
        super().__init__(HTTPStatus.BAD_REQUEST, detail, {"errors": members})


class NotFound(Problem):
    """404: there is no such resource."""

    def __init__(self, detail: str) -> None:
        super().__init__(HTTPStatus.NOT_FOUND, detail)


class Conflict(Problem):
    """409: the resource's state does not allow the request."""

    def __init__(self, detail: str) -> None:
        super().__init__(HTTPStatus.CONFLICT, detail)


class Unprocessable(Problem):
    """422: the request contradicts an earlier one."""

    def __init__(self, detail: str) -> None:
        super().__init__(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


class Unavailable(Problem):
    """503: the same request can succeed a moment later."""

    def __init__(self, detail: str) -> None:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        super().__init__(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=headers)


def problem_response(problem: Problem) -> Response:
    """The problem as an HTTP response."""
    body = {
        "type": "about:blank",
        "title": TITLES.get(problem.status, HTTPStatus(problem.status).phrase),
        "status": int(problem.status),
        "detail": problem.detail,
        **problem.extensions,
    }
    return Response(orjson.dumps(body), problem.status, headers=problem.headers, media_type="application/problem+json")


async def _on_problem(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    assert isinstance(error, Problem)
    return problem_response(error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    details = {
        HTTPStatus.NOT_FOUND: f"there is nothing at {request.url.path}",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not supported by {request.url.path}",
    }
    detail = details.get(HTTPStatus(error.status_code), error.detail)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_methods_of(request)))
    return problem_response(Problem(error.status_code, detail, headers=headers))


def _methods_of(request: Request) -> set[str]:
    # Starlette names the methods of the first matching route only; here GET and POST of a path are two routes.
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return {method for route in matching for method in route.methods or ()}


async def _on_outage(request: Request, error: Exception) -> Response:
    log.warning("%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error)
    detail = "the service cannot reach its database right now; try again (with the same Idempotency-Key)"
    return problem_response(Unavailable(detail))


async def _on_bug(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem_response(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed; its log has the error"))


def exception_handlers(outages: Sequence[type[Exception]]) -> dict[Any, Any]:
    """The handlers for `Starlette(exception_handlers=...)`.

    Args:
        outages: the driver's errors while the database is away; answered with 503.
    """
    return {
        Problem: _on_problem,
        HTTPException: _on_http_exception,
        **dict.fromkeys(outages, _on_outage),
        Exception: _on_bug,
    }
