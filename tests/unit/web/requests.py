"""Requests as Starlette hands them to a route."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request


def request(
    query: str = "",
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    body: Sequence[bytes] = (b"",),
    path_params: Mapping[str, str] | None = None,
) -> Request:
    """A request; its body arrives in these chunks."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "path": "/things",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
        "path_params": dict(path_params or {}),
    }
    chunks = list(body)

    async def receive() -> dict[str, Any]:
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    return Request(scope, receive)
