"""Replaces uvicorn and the network: runs an ASGI application in a simulated process, and gives it requests.

The application is the one that production serves: its routes, its errors as problems, its workers in its lifespan.
Nothing here or in Starlette's path for asynchronous handlers uses a thread or a clock.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Scope

from runtime.workers import GRACE_SECONDS
from tests.simulation.process import Life


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sends.

    Attributes:
        body: the JSON document; None for no body.
        key: the idempotency key.
        wait: seconds of `Prefer: wait`.
    """

    method: str
    path: str
    body: Any = None
    key: str | None = None
    wait: int | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether a client that got no answer may send it again: whatever it does, it does once."""
        return self.method == "GET" or self.path.endswith("/cancel") or self.key is not None

    def scope(self) -> Scope:
        """The request as ASGI describes it."""
        headers = {"content-type": "application/json"}
        if self.key:
            headers["idempotency-key"] = self.key
        if self.wait:
            headers["prefer"] = f"wait={self.wait}"
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client receives; `body` is the JSON document."""

    status: int
    body: Any


class HttpServer:
    """One application in one life of a process."""

    def __init__(self, app: ASGIApp, life: Life) -> None:
        self._app = app
        self._life = life
        self._stopping = asyncio.Event()
        self._requests: list[asyncio.Task[Answer]] = []
        self.is_accepting = False

    async def run(self) -> None:
        """Starts the application, and shuts it down after `stop`, as uvicorn does."""
        started = False

        async def receive() -> Message:
            nonlocal started
            if not started:
                started = True
                return {"type": "lifespan.startup"}
            await self._stopping.wait()
            self.is_accepting = False
            await self._finish_requests()
            return {"type": "lifespan.shutdown"}

        async def send(message: Message) -> None:
            self.is_accepting = message["type"] == "lifespan.startup.complete"

        await self._app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)

    async def _finish_requests(self) -> None:
        running = [request for request in self._requests if not request.done()]
        if running:
            await asyncio.wait(running, timeout=GRACE_SECONDS)
        for request in running:
            request.cancel()

    def stop(self) -> None:
        """Lets the requests that are being answered finish, and ends the application in good order."""
        self._stopping.set()

    def start(self, request: Request) -> "asyncio.Task[Answer]":
        """The handling of a request, which is a task of the process and is cancelled when the process is killed."""
        task = self._life.run(self._handle(request))
        self._requests = [running for running in self._requests if not running.done()] + [task]
        return task

    async def _handle(self, request: Request) -> Answer:
        body = json.dumps(request.body).encode() if request.body is not None else b""
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(request.scope(), receive, send)
        [start, *parts] = sent
        content = b"".join(part.get("body", b"") for part in parts)
        return Answer(start["status"], json.loads(content))
