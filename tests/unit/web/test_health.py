import asyncio

import pytest
from starlette.applications import Starlette

from tests.asgi import client_of
from web import health
from web.health import fault_of, health_routes


class Worker:
    def __init__(self, fault: str | None) -> None:
        self.fault = fault

    async def run(self) -> None:
        """Does nothing."""

    def stop(self) -> None:
        """Nothing runs."""


async def _well() -> str | None:
    return None


async def _unwell() -> str | None:
    return "no subscription"


async def _broken() -> str | None:
    raise OSError("refused")


async def _hanging() -> str | None:
    await asyncio.Event().wait()
    return None


async def test_ready_means_that_every_check_is_well() -> None:
    answer = await client_of(Starlette(routes=health_routes({"a": _well, "b": _well}))).get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


async def test_otherwise_each_fault_is_named() -> None:
    http = client_of(Starlette(routes=health_routes({"a": _well, "b": _unwell, "c": _broken})))
    answer = await http.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["faults"] == {"b": "no subscription", "c": "OSError: refused"}
    assert (await http.get("/health/live")).status_code == 200


async def test_a_check_that_does_not_return_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.01)
    answer = await client_of(Starlette(routes=health_routes({"a": _well, "b": _hanging}))).get("/health/ready")
    assert answer.json()["faults"].keys() == {"b"}


async def test_a_check_that_goes_on_after_its_cancellation_holds_up_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.01)
    server_answers = asyncio.Event()

    async def deaf() -> str | None:
        # As a query on a connection whose server hangs.
        try:
            await asyncio.Event().wait()
        finally:
            await server_answers.wait()
        return None

    answer = await client_of(Starlette(routes=health_routes({"a": deaf}))).get("/health/ready")
    server_answers.set()
    assert (answer.status_code, answer.json()["faults"]) == (503, {"a": "no answer within 0 s"})


async def test_a_worker_is_checked_by_its_fault_at_the_moment() -> None:
    worker = Worker("waiting for NATS")
    check = fault_of(worker)
    assert await check() == "waiting for NATS"
    worker.fault = None
    assert await check() is None
