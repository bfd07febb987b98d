"""An ASGI application in this process: its requests, and its start and stop."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.types import ASGIApp

Message = MutableMapping[str, Any]

LIFESPAN: dict[str, Any] = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.3"}, "state": {}}


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    """A client of the application; an error that it does not handle is answered with 500."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service")


@asynccontextmanager
async def started(app: ASGIApp) -> AsyncIterator[None]:
    """The application from its start to its stop, as a server drives it.

    Raises:
        AssertionError: it did not start, or did not stop in good order.
    """
    requests, answers = asyncio.Queue[Message](), asyncio.Queue[Message]()
    running = asyncio.create_task(_run(app, requests, answers))
    try:
        await requests.put({"type": "lifespan.startup"})
        answer = await answers.get()
        assert answer["type"] == "lifespan.startup.complete", answer
        yield
    finally:
        await requests.put({"type": "lifespan.shutdown"})
        await asyncio.gather(running, return_exceptions=True)
    answer = await answers.get()
    assert answer["type"] == "lifespan.shutdown.complete", answer


async def _run(app: ASGIApp, requests: asyncio.Queue[Message], answers: asyncio.Queue[Message]) -> None:
    await app(LIFESPAN, requests.get, answers.put)
