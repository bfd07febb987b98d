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
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except Exception as error:  # noqa: BLE001 - it is reported
        return f"{type(error).__name__}: {error}"
