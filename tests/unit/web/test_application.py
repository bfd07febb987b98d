"""A service as an ASGI application: its workers run from start to stop, its errors are problems, its health is told."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.asgi import client_of, started
from tests.eventually import let_tasks_run
from web.answers import JsonResponse
from web.application import Service, create_app, http_app
from web.problems import Conflict, Unprocessable


class TooLate(Exception):
    """An error of a domain."""


class Odd(Exception):
    """Another error of a domain."""


class Worker:
    """A worker that writes down what is done with it."""

    fault: str | None = None

    def __init__(self, name: str, log: list[str]) -> None:
        self._name, self._log = name, log
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        self._log.append(f"{self._name} runs")
        await self._stopping.wait()
        await let_tasks_run()  # it does not end in the moment in which it is stopped
        self._log.append(f"{self._name} has ended")

    def stop(self) -> None:
        self._stopping.set()


class Failing(Worker):
    async def run(self) -> None:
        raise ZeroDivisionError("broken")


class Process:
    """A service that is opened and closed, and what happened to it in order."""

    def __init__(self, *kinds: type[Worker]) -> None:
        self.log: list[str] = []
        self._kinds = kinds or (Worker, Worker)

    @asynccontextmanager
    async def open_service(self) -> AsyncIterator[Service]:
        self.log.append("ports are opened")
        workers = {f"worker {number}": kind(f"worker {number}", self.log) for number, kind in enumerate(self._kinds, 1)}
        yield Service(workers, checks={}, routes=[Route("/things", _things)])
        self.log.append("ports are closed")


async def _things(request: Request) -> Response:
    return JsonResponse({"things": []})


async def test_the_workers_run_from_the_start_to_the_stop_of_the_application() -> None:
    process = Process()
    app = create_app(process.open_service)
    async with started(app):
        await let_tasks_run()
        assert process.log == ["ports are opened", "worker 1 runs", "worker 2 runs"]
        assert (await client_of(app).get("/things")).json() == {"things": []}
        assert (await client_of(app).get("/health/ready")).json() == {"status": "ready"}
    assert process.log[3:] == ["worker 2 has ended", "worker 1 has ended", "ports are closed"]


async def test_a_worker_that_fails_ends_the_process_with_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    signals: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda process, number: signals.append((process, number)))
    process = Process(Worker, Failing)
    async with started(create_app(process.open_service)):
        await let_tasks_run()
        assert signals == [(os.getpid(), signal.SIGTERM)]
    assert process.log[-2:] == ["worker 1 has ended", "ports are closed"]


async def test_ports_that_cannot_be_opened_fail_the_start() -> None:
    process = Process()

    @asynccontextmanager
    async def open_service() -> AsyncIterator[Service]:
        async with process.open_service() as service:
            if process.log:
                raise ConnectionRefusedError("no ports")
            yield service

    with pytest.raises(AssertionError, match=r"startup\.failed"):
        async with started(create_app(open_service)):
            """Not reached."""


def _failing(error: Exception) -> Service:
    async def endpoint(request: Request) -> Response:
        raise error

    return Service(
        workers={},
        checks={},
        routes=[Route("/", endpoint)],
        outages=(OSError,),
        problems={TooLate: Conflict, Odd: Unprocessable},
    )


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (TooLate("the order was rejected"), 409, "the order was rejected"),
        (Odd("another body"), 422, "another body"),
        (ConnectionRefusedError("5432"), 503, "cannot reach its database"),
        (ZeroDivisionError("secret"), 500, "the service failed"),
    ],
)
async def test_an_error_becomes_the_problem_that_the_service_names(error: Exception, status: int, detail: str) -> None:
    answer = await client_of(http_app(_failing(error))).get("/")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code == answer.json()["status"] == status
    assert detail in answer.json()["detail"]


async def test_while_a_service_is_unavailable_it_answers_503_with_the_reason_and_its_health() -> None:
    reasons: list[str | None] = ["no schema", "no schema", None]
    service = Service({}, {}, [Route("/things", _things)], unavailable=lambda: reasons[0])
    http = client_of(http_app(service))
    answer = await http.get("/things")
    assert (answer.status_code, answer.json()["detail"], answer.headers["retry-after"]) == (503, "no schema", "1")
    assert (await http.get("/health/live")).status_code == 200
    reasons[0] = None
    assert (await http.get("/things")).status_code == 200
