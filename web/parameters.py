"""Path parameters, query parameters and headers: parsed to values, or refused with a clear 400."""

import re
from enum import StrEnum
from typing import TypeVar

from starlette.requests import Request

from web.problems import BadInput

INT64_MAX = 2**63 - 1

MAX_KEY_LENGTH = 255
MAX_WAIT_SECONDS = 30.0

E = TypeVar("E", bound=StrEnum)

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,9})(?:$|[,;\s])", re.IGNORECASE)


def to_int64(field: str, text: str) -> int:
    """Raises BadInput unless the text is an integer that a PostgreSQL bigint holds."""
    if not _INTEGER.fullmatch(text):
        raise BadInput([(field, "must be an integer")])
    value = int(text)
    if not -INT64_MAX - 1 <= value <= INT64_MAX:
        raise BadInput([(field, f"must not be beyond {INT64_MAX}")])
    return value


def path_id(request: Request, field: str) -> int:
    """An id in the request's path. `field` is its name in the route."""
    return to_int64(field, request.path_params[field])


def optional_int64(request: Request, field: str) -> int | None:
    """An integer query parameter; None if it is absent."""
    text = request.query_params.get(field)
    return None if text is None else to_int64(field, text)


def optional_choice(request: Request, field: str, choices: type[E]) -> E | None:
    """A query parameter with one of an enumeration's values; None if it is absent."""
    text = request.query_params.get(field)
    if text is None:
        return None
    try:
        return choices(text)
    except ValueError as error:
        raise BadInput([(field, f"must be one of {', '.join(choices)}")]) from error


def idempotency_key(request: Request) -> str | None:
    """The `Idempotency-Key` header; None if it is absent.

    Raises:
        BadInput: empty, longer than `MAX_KEY_LENGTH`, or not printable ASCII.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY_LENGTH or not key.isascii() or not key.isprintable():
        raise BadInput([("Idempotency-Key", f"must be 1 to {MAX_KEY_LENGTH} printable ASCII characters")])
    return key


def preferred_wait(request: Request) -> float | None:
    """Seconds of `Prefer: wait=N` (RFC 7240), at most `MAX_WAIT_SECONDS`; None without the preference.

    An invalid preference is ignored, as the standard demands.
    """
    match = _WAIT.search(", ".join(request.headers.getlist("prefer")))
    return min(float(match[1]), MAX_WAIT_SECONDS) if match else None
