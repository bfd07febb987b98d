"""What the clients asked for and what they were answered. The checker compares the system with it."""

import time
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """What a client knows about its request."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Request:
    """One request for an order, however often it is sent.

    Attributes:
        key: its idempotency key, which other requests may use too. A request without a key is sent once.
        total: in cents.
        sent: when it was first sent, in seconds of the monotonic clock.
        attempts: how often it was sent.
        status: the HTTP status of the answer that decided its outcome.
        order_id: the order that it was answered with.
        cancelled: the client was told that the order is cancelled.
        final_after: seconds from the first attempt until the client saw a final state.
    """

    key: str | None
    customer_id: int
    total: int
    sent: float = field(default_factory=time.monotonic)
    attempts: int = 0
    outcome: Outcome = Outcome.UNKNOWN
    status: int | None = None
    order_id: int | None = None
    cancelled: bool = False
    final_after: float | None = None

    @property
    def body(self) -> tuple[int, int]:
        """What it asks for: customer and total."""
        return self.customer_id, self.total


@dataclass(slots=True)
class Ledger:
    """All requests of a run."""

    requests: list[Request] = field(default_factory=list)

    def add(self, request: Request) -> Request:
        self.requests.append(request)
        return request

    def outcomes(self) -> Counter[str]:
        return Counter(str(request.outcome) for request in self.requests)

    def of(self, outcome: Outcome) -> list[Request]:
        return [request for request in self.requests if request.outcome is outcome]

    def keys(self) -> dict[str, list[Request]]:
        """The requests of each idempotency key."""
        requests: dict[str, list[Request]] = {}
        for request in self.requests:
            if request.key is not None:
                requests.setdefault(request.key, []).append(request)
        return requests
