"""The W3C trace context, as it travels in HTTP headers, outbox rows and message headers."""

import re

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def valid_traceparent(value: str | None) -> str | None:
    """The value if it is a W3C `traceparent`; None otherwise. The standard says to ignore an invalid one."""
    return value if value is not None and _TRACEPARENT.fullmatch(value) else None
