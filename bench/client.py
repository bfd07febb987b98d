"""A minimal HTTP/1.1 client: keep-alive connections, prebuilt requests, one request at a time on a connection.

The load generator shares the machine's two cores with the system that it measures, so its requests must be cheap.
A request costs this client 30 µs of CPU. It costs httpx 1,400 µs, more than the order service spends on the order.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Self, cast

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"
STATUS = slice(9, 12)
"""The position of the status code in `HTTP/1.1 200 OK`."""

HOST = "127.0.0.1"
OK = 200

MAX_CONNECTIONS = 400


class RequestFailed(Exception):
    """The connection was lost before the whole response arrived, or the status is not 200."""


def get(path: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a GET request."""
    return _request("GET", path, b"", headers or {})


def post(path: str, body: Any, headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a POST request with a JSON body."""
    encoded = json.dumps(body, separators=(",", ":")).encode()
    content_headers = {"Content-Type": "application/json", "Content-Length": str(len(encoded))}
    return _request("POST", path, encoded, content_headers | dict(headers or {}))


def add_header(request: bytes, name: str, value: str) -> bytes:
    """A prebuilt request with one more header, the last one. Cheaper than building the request again."""
    return request.replace(HEAD_END, f"\r\n{name}: {value}".encode("ascii") + HEAD_END, 1)


def _request(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode("ascii") + HEAD_END + body


def parse_response(request: bytes, status: int, body: bytes) -> Any:
    """The JSON document in the body of a response.

    Args:
        request: named in the error.

    Raises:
        RequestFailed: the status is not 200.
    """
    if status != OK:
        raise RequestFailed(f"{request[:80]!r} was answered with {status}: {body[:300]!r}")
    return json.loads(body)


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._response: asyncio.Future[tuple[int, bytes]] | None = None
        self._received = b""

    @classmethod
    async def open(cls, port: int) -> Self:
        _, connection = await asyncio.get_running_loop().create_connection(cls, HOST, port)
        return connection

    def send(self, request: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """Sends prebuilt bytes. The future's result is the status and the body of the response.

        The next request may be sent when the future is done.

        Raises:
            RequestFailed: the connection is closed; also set on the future if the connection is lost later.
        """
        assert self._response is None, "one request at a time"
        if self._transport is None or self._transport.is_closing():
            raise RequestFailed("the connection is closed")
        self._response = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._response

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transport is not a subclass of it

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        head, found, body = received.partition(HEAD_END)
        if not found or len(body) < _content_length(head):
            self._received = received
            return
        self._received = b""
        response, self._response = self._response, None
        if response and not response.cancelled():
            response.set_result((int(head[STATUS]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        response, self._response = self._response, None
        if response and not response.done():
            response.set_exception(RequestFailed(f"the connection was lost: {exc}"))


def _content_length(head: bytes) -> int:
    lower = head.lower()
    begin = lower.find(LENGTH)
    if begin < 0:
        return 0
    end = lower.find(b"\r\n", begin)
    return int(lower[begin + len(LENGTH) : end if end > 0 else None])


class Pool:
    """Connections to one server for an open loop. A connection is opened when all others are in use.

    Args:
        port: the server's.
        limit: the most connections; a request beyond them waits for a free one. Without a limit, a server that falls
            behind would run out of file descriptors.
    """

    def __init__(self, port: int, limit: int = MAX_CONNECTIONS) -> None:
        self._port = port
        self._idle: list[Connection] = []
        self._limit = asyncio.Semaphore(limit)

    async def request_json(self, request: bytes) -> Any:
        """Sends a request and returns the JSON document of the response.

        Raises:
            RequestFailed: the status is not 200, or the connection was lost.
        """
        status, body = await self.send(request)
        return parse_response(request, status, body)

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Sends a request and returns the status and the body of the response, whatever the status is.

        Raises:
            RequestFailed: the connection was lost.
        """
        async with self._limit:
            connection = self._idle_connection() or await Connection.open(self._port)
            response = await connection.send(request)
            self._idle.append(connection)
            return response

    def _idle_connection(self) -> Connection | None:
        """An idle connection that is still open. A server that was restarted has closed its connections."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
