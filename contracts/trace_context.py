"""The W3C trace context, as HTTP headers, outbox rows and message headers carry it."""

import re

# version, trace id, parent id, flags. The standard forbids version ff and ids of zeros only.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def valid_traceparent(value: str | None) -> str | None:
    """The value if it is a valid W3C `traceparent`, otherwise None. The standard says to ignore an invalid one."""
    return value if value is not None and _TRACEPARENT.fullmatch(value) else None
