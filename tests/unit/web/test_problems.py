from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from web.problems import BadInput, Conflict, NotFound, Problem, exception_handlers


def _failing(error: Exception) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        raise error

    return endpoint


async def _get(app: Starlette, path: str = "/", method: str = "GET") -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.request(method, path)


async def _answer_to(error: Exception) -> httpx.Response:
    return await _get(Starlette(routes=[Route("/", _failing(error))], exception_handlers=exception_handlers([OSError])))


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (NotFound("there is no order 1"), 404, "Not Found"),
        (Conflict("order 1 was rejected"), 409, "Conflict"),
        (BadInput([("name", "is required")]), 400, "Bad Request"),
        (Problem(422, "another body"), 422, "Unprocessable Content"),
    ],
)
async def test_a_problem_is_told_as_the_standard_says(error: Problem, status: int, title: str) -> None:
    answer = await _answer_to(error)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", title, status)
    assert problem["detail"] == error.detail


async def test_bad_input_names_each_field() -> None:
    problem = (await _answer_to(BadInput([("name", "is required"), ("", "the body is not JSON")]))).json()
    assert problem["detail"] == "name: is required; the body is not JSON"
    assert problem["errors"] == [
        {"field": "name", "detail": "is required"},
        {"field": "", "detail": "the body is not JSON"},
    ]


async def test_an_outage_of_the_database_is_a_503_that_says_when_to_come_back() -> None:
    answer = await _answer_to(ConnectionRefusedError("127.0.0.1:5432"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "5432" not in answer.text


async def test_a_bug_tells_nothing_of_the_inside(caplog: pytest.LogCaptureFixture) -> None:
    answer = await _answer_to(RuntimeError("secret"))
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    assert "secret" in caplog.text


async def test_a_405_tells_the_methods_of_all_routes_with_the_path() -> None:
    routes = [Route("/", _failing(NotFound("")), methods=[method]) for method in ("POST", "GET")]
    answer = await _get(Starlette(routes=routes, exception_handlers=exception_handlers([])), method="DELETE")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
