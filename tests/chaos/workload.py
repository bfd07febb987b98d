"""A steady flow of orders, with and without idempotency keys. A request with a key is repeated until it is answered."""

import asyncio
import itertools
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

import httpx

from tests.chaos.ledger import Ledger, Outcome, Request

CUSTOMERS = 50
LIMIT = 20_000
UNKNOWN_CUSTOMER = 10**9
UNKNOWN_SHARE = 0.02
CLIENT_TIMEOUT_SECONDS = 5.0
CANCELLED_SHARE = 0.05
FOLLOWED_SHARE = 0.1
"""The share of the orders whose final state a client waits for, for the latency over time."""

KEYLESS_SHARE = 0.3
SAME_BODY_SHARE = 0.1
"""The share of the requests that use the key of a recent request, which may be under way, with its body."""
OTHER_BODY_SHARE = 0.05
"""The same with another body."""
RECENT_REQUESTS = 50


@dataclass
class Workload:
    """Places `rate` orders each second, whether the earlier ones were answered or not.

    Args:
        ports: of the services, by name.
        chance: chooses customers, totals, keys and cancellations.
    """

    ports: Mapping[str, int]
    rate: float
    chance: random.Random
    ledger: Ledger = field(default_factory=Ledger)
    customers: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        limits = httpx.Limits(max_connections=400, max_keepalive_connections=100)
        self._http = httpx.AsyncClient(timeout=CLIENT_TIMEOUT_SECONDS, limits=limits, trust_env=False)
        self._open: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def close(self) -> None:
        await self._http.aclose()

    async def create_customers(self) -> None:
        for number in range(CUSTOMERS):
            body = {"name": f"Customer {number}", "creditLimit": {"amount": LIMIT}}
            answer = await self._http.post(f"{self._url('customer')}/customers", json=body)
            self.customers.append(answer.raise_for_status().json()["customerId"])

    async def run(self) -> None:
        """An open loop until `stop`: a slow answer does not delay the next request."""
        self._stopping = False
        start = time.monotonic()
        for number in itertools.count():
            await asyncio.sleep(max(0.0, start + number / self.rate - time.monotonic()))
            if self._stopping:
                return
            task = asyncio.create_task(self._one_order())
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    def stop(self) -> None:
        """Ends `run` before its next order."""
        self._stopping = True

    async def finish(self) -> None:
        """Waits for the open requests, then repeats each request with a key until its outcome is known."""
        await asyncio.gather(*self._open)
        for request in self.ledger.of(Outcome.UNKNOWN):
            while request.key is not None and request.outcome is Outcome.UNKNOWN:
                await self._place(request)

    async def _one_order(self) -> None:
        request = self.ledger.add(self._new_request())
        await self._place(request)
        if request.order_id is None:
            return
        if self.chance.random() < CANCELLED_SHARE:
            await self._cancel(request)
        elif self.chance.random() < FOLLOWED_SHARE:
            await self._follow(request)

    def _new_request(self) -> Request:
        recent = [request for request in self.ledger.requests[-RECENT_REQUESTS:] if request.key is not None]
        kind = self.chance.random()
        if recent and kind < SAME_BODY_SHARE:
            earlier = self.chance.choice(recent)
            return Request(earlier.key, earlier.customer_id, earlier.total)
        if recent and kind < SAME_BODY_SHARE + OTHER_BODY_SHARE:
            earlier = self.chance.choice(recent)
            return Request(earlier.key, earlier.customer_id, earlier.total + 1)
        keyless = kind > 1 - KEYLESS_SHARE
        key = None if keyless else str(UUID(int=self.chance.getrandbits(128)))
        known = self.chance.random() > UNKNOWN_SHARE
        customer_id = self.chance.choice(self.customers) if known else UNKNOWN_CUSTOMER
        return Request(key, customer_id, self.chance.randint(100, 10_000))

    async def _place(self, request: Request) -> None:
        body = {"customerId": request.customer_id, "orderTotal": {"amount": request.total / 100}}
        headers = {"Idempotency-Key": request.key} if request.key is not None else {}
        request.attempts += 1
        try:
            answer = await self._http.post(f"{self._url('order')}/orders", json=body, headers=headers)
        except httpx.TransportError:
            return
        if answer.status_code == httpx.codes.OK:
            request.outcome, request.order_id = Outcome.ACKNOWLEDGED, answer.json()["orderId"]
        elif answer.is_client_error:
            request.outcome = Outcome.REFUSED
        request.status = answer.status_code

    async def _cancel(self, request: Request) -> None:
        try:
            answer = await self._http.post(f"{self._url('order')}/orders/{request.order_id}/cancel")
        except httpx.TransportError:
            return  # not repeated: the order may be cancelled or not
        request.cancelled = answer.status_code == httpx.codes.OK

    async def _follow(self, request: Request) -> None:
        headers = {"Prefer": "wait=4"}
        try:
            answer = await self._http.get(f"{self._url('order')}/orders/{request.order_id}", headers=headers)
        except httpx.TransportError:
            return
        if answer.status_code == httpx.codes.OK and answer.json()["orderState"] != "PENDING":
            request.final_after = time.monotonic() - request.sent

    def _url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"
