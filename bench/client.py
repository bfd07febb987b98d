"""A minimal HTTP/1.1 client: keep-alive, prebuilt requests, one at a time on a connection.

Not a library, because the load generator shares the machine's two cores with what it measures: a
request costs it 30 µs of CPU; httpx, measured beside it, 1,400 µs, more than the order service spends on the order.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Self, cast

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"
STATUS = slice(9, 12)
"""Where the status stands in `HTTP/1.1 200 OK`."""

HOST = "127.0.0.1"
OK = 200


class RequestFailed(Exception):
    """The server hung up in the middle, or answered something else than what the benchmark asks for."""


def get(path: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a GET request."""
    return _request("GET", path, b"", headers or {})


def post(path: str, body: Any, headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a POST request with a JSON body."""
    encoded = json.dumps(body, separators=(",", ":")).encode()
    length = {"Content-Type": "application/json", "Content-Length": str(len(encoded))}
    return _request("POST", path, encoded, length | dict(headers or {}))


def _request(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode("ascii") + HEAD_END + body


def read(request: bytes, status: int, body: bytes) -> Any:
    """The JSON of a 200.

    Raises:
        RequestFailed: anything else.
    """
    if status != OK:
        raise RequestFailed(f"{request[:80]!r} was answered {status}: {body[:300]!r}")
    return json.loads(body)


class Connection(asyncio.Protocol):
    """One connection; `send` answers with status and body."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._received = b""

    @classmethod
    async def open(cls, port: int) -> Self:
        _, connection = await asyncio.get_running_loop().create_connection(cls, HOST, port)
        return connection

    def send(self, request: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """Sends prebuilt bytes; the connection is free again when the answer is there.

        Raises:
            RequestFailed: the connection was lost; set on the future too.
        """
        assert self._answer is None, "one request at a time"
        if self._transport is None or self._transport.is_closing():
            raise RequestFailed("the connection is closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        head, found, body = received.partition(HEAD_END)
        if not found or len(body) < _content_length(head):
            self._received = received
            return
        self._received = b""
        answer, self._answer = self._answer, None
        if answer and not answer.cancelled():
            answer.set_result((int(head[STATUS]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        answer, self._answer = self._answer, None
        if answer and not answer.done():
            answer.set_exception(RequestFailed(f"the server hung up: {exc}"))


def _content_length(head: bytes) -> int:
    lower = head.lower()
    begin = lower.find(LENGTH)
    if begin < 0:
        return 0
    end = lower.find(b"\r\n", begin)
    return int(lower[begin + len(LENGTH) : end if end > 0 else None])


class Pool:
    """Connections to one server for an open loop: as many as are needed at once, kept for the next request.

    Args:
        port: of the server.
        limit: most connections; a request beyond them waits for one. A server that falls behind would
            otherwise run out of file descriptors.
    """

    def __init__(self, port: int, limit: int = 400) -> None:
        self._port = port
        self._idle: list[Connection] = []
        self._room = asyncio.Semaphore(limit)

    async def ask(self, request: bytes) -> Any:
        """The JSON of a 200.

        Raises:
            RequestFailed: anything else.
        """
        status, body = await self.send(request)
        return read(request, status, body)

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Status and body, whatever they are."""
        async with self._room:
            connection = self._free() or await Connection.open(self._port)
            answer = await connection.send(request)
            self._idle.append(connection)
            return answer

    def _free(self) -> Connection | None:
        """One that the server has not closed meanwhile (it may have been started anew)."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
