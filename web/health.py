"""`/health/live`: the process answers. `/health/ready`: it does its work, or the reasons why it does not."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runtime.workers import Worker
from web.answers import JsonResponse

Check = Callable[[], Awaitable[str | None]]
"""Returns None if all is well, otherwise what is wrong. An exception counts as what is wrong."""

CHECK_SECONDS = 2.0
HEALTH_PATH = "/health/"

_given_up: set[asyncio.Future[str | None]] = set()
"""Checks that were cancelled and have not ended yet. The event loop itself keeps only weak references."""


def fault_of(worker: Worker) -> Check:
    """A check that reports the worker's fault."""

    async def check() -> str | None:
        return worker.fault

    return check


def health_routes(checks: Mapping[str, Check]) -> list[Route]:
    """The two health routes. Ready means that every check returned None in time.

    Args:
        checks: by the name of the dependency or worker.
    """

    async def live(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
        return JsonResponse({"status": "live"})

    async def ready(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
        states = dict(zip(checks, await asyncio.gather(*map(_run, checks.values())), strict=True))
        faults = {name: fault for name, fault in states.items() if fault is not None}
        if faults:
            return JsonResponse({"status": "not ready", "faults": faults}, 503)
        return JsonResponse({"status": "ready"})

    return [Route(f"{HEALTH_PATH}live", live), Route(f"{HEALTH_PATH}ready", ready)]


async def _run(check: Check) -> str | None:
    task = asyncio.ensure_future(check())
    # Not asyncio.timeout: it waits until the cancelled check has ended, and asyncpg waits for the server meanwhile.
    await asyncio.wait({task}, timeout=CHECK_SECONDS)
    if not task.done():
        _give_up(task)
        return f"no answer within {CHECK_SECONDS:.0f} s"
    if task.cancelled():
        return "was cancelled"
    error = task.exception()
    return f"{type(error).__name__}: {error}" if error else task.result()


def _give_up(task: asyncio.Future[str | None]) -> None:
    task.cancel()
    _given_up.add(task)
    task.add_done_callback(_forget)


def _forget(task: asyncio.Future[str | None]) -> None:
    _given_up.discard(task)
    if not task.cancelled():
        task.exception()  # looked at: asyncio logs an error that nobody has seen
