"""Request bodies: JSON, small, and validated strictly."""

import json
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from web.problems import BadInput, Problem

MAX_BODY_BYTES = 64 * 1024
MEDIA_TYPE = "application/json"
LONGEST_INTEGER = 40

READABLE = {
    "missing": "is required",
    "model_type": "must be a JSON object",
    "int_type": "must be an integer",
    "string_type": "must be a string",
    "string_unicode": "must be text without lone surrogates",
}
"""Error texts for clients, by pydantic's error type. For other types pydantic's own message is used."""

M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request, model: type[M]) -> M:
    """Reads and validates a JSON body.

    Raises:
        Problem: 415 another media type, 413 larger than `MAX_BODY_BYTES`.
        BadInput: not JSON, not UTF-8, or not valid for `model`; names the fields.
    """
    _require_json(request)
    document, constants = parse_json(await _read(request))
    try:
        body = model.model_validate(document)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise BadInput([(".".join(map(str, f["loc"])), _readable(f)) for f in faults]) from error
    if constants:
        raise BadInput([("", f"the body is not JSON: {constants[0]} is not a JSON value")])
    return body


def parse_json(body: bytes) -> tuple[Any, list[str]]:
    """Parses JSON without losing a digit: numbers with a fraction or exponent become Decimal.

    This uses the standard library's parser, not orjson: as a double, a number can lose its third decimal.

    Returns:
        The document, and the names of the NaN and Infinity values in it. These are not JSON. They stay in the document,
        so that an error can name their field.

    Raises:
        BadInput: names the line and column of the error.
    """
    constants: list[str] = []

    def constant(name: str) -> Decimal:
        constants.append(name)
        return Decimal(name)

    try:
        text = body.decode("utf-8")
        document = json.loads(text, parse_float=_decimal, parse_int=_integer, parse_constant=constant)
    except UnicodeDecodeError as error:
        raise BadInput([("", f"the body is not UTF-8: byte {error.start} is invalid")]) from error
    except json.JSONDecodeError as error:
        detail = f"the body is not JSON: {error.msg} at line {error.lineno} column {error.colno}"
        raise BadInput([("", detail)]) from error
    except RecursionError as error:
        raise BadInput([("", "the body is nested too deeply")]) from error
    return document, constants


def _require_json(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != MEDIA_TYPE:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"send {MEDIA_TYPE} (Content-Type was {media_type or 'missing'})",
            headers={"Accept": MEDIA_TYPE},
        )


async def _read(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
        _refuse_size()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            _refuse_size()
    return bytes(body)


def _refuse_size() -> NoReturn:
    # The rest of the body is not read, so the connection cannot be used for another request.
    raise Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body is larger than {MAX_BODY_BYTES} bytes",
        headers={"Connection": "close"},
    )


def _integer(text: str) -> int | Decimal:
    # Python's int() refuses thousands of digits. As a Decimal, the number is refused by its field's limit.
    return int(text) if len(text) <= LONGEST_INTEGER else _decimal(text)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("Infinity")  # an exponent of twenty digits is above every field's limit


def _readable(fault: ErrorDetails) -> str:
    message = READABLE.get(fault["type"], fault["msg"])
    return message.removeprefix("Value error, ").replace("Input should", "must")
