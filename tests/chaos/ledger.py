"""What the clients asked for, and what they were told: the truth that the system is held against."""

import time
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """What a client knows of its request."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Request:
    """One order that a client wants, under one idempotency key, however often it asks.

    Attributes:
        sent: when it first asked, in seconds of the monotonic clock.
        attempts: how often it asked.
        order_id: what it was told, once it was told.
        cancelled: it was told that the order is cancelled.
        final_after: seconds from the first attempt until the order was seen final.
    """

    key: str
    customer_id: int
    total: int
    sent: float = field(default_factory=time.monotonic)
    attempts: int = 0
    outcome: Outcome = Outcome.UNKNOWN
    order_id: int | None = None
    cancelled: bool = False
    final_after: float | None = None


@dataclass(slots=True)
class Ledger:
    """Every request of a run."""

    requests: list[Request] = field(default_factory=list)

    def add(self, request: Request) -> Request:
        self.requests.append(request)
        return request

    def outcomes(self) -> Counter[str]:
        return Counter(str(request.outcome) for request in self.requests)

    def unknown(self) -> list[Request]:
        return [request for request in self.requests if request.outcome is Outcome.UNKNOWN]

    def acknowledged(self) -> list[Request]:
        return [request for request in self.requests if request.outcome is Outcome.ACKNOWLEDGED]
