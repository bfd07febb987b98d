"""Paged lists. Keyset paging: each page costs the same, wherever it is in the list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import URL
from starlette.requests import Request

from web.parameters import INT64_MAX, optional_int64
from web.problems import BadInput

DEFAULT_LIMIT = 50
MAX_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is requested.

    Attributes:
        limit: items at most.
        after: the id of the previous page's last item; None for the first page.
    """

    limit: int
    after: int | None

    def ascending_start(self) -> int:
        """All items of the page have greater ids than this, in a list in ascending order."""
        return self.after if self.after is not None else -INT64_MAX - 1


def requested_page(request: Request) -> Page:
    """Reads `?limit=50&after=123`.

    Raises:
        BadInput: names the parameter.
    """
    limit = optional_int64(request, "limit")
    if limit is not None and not 1 <= limit <= MAX_LIMIT:
        raise BadInput([("limit", f"must be 1 to {MAX_LIMIT}")])
    return Page(limit or DEFAULT_LIMIT, optional_int64(request, "after"))


def page_body(request: Request, page: Page, items: Sequence[dict[str, Any]], last_id: int | None) -> dict[str, Any]:
    """The response: `items`, and `next` with the next page's URL if there may be one.

    Args:
        items: of this page, at most `page.limit`.
        last_id: the id of the last item; None on an empty page.
    """
    body: dict[str, Any] = {"items": list(items)}
    if len(items) == page.limit and last_id is not None:
        body["next"] = _relative(request.url.include_query_params(after=last_id))
    return body


def _relative(url: URL) -> str:
    return f"{url.path}?{url.query}"
