"""Clients that place, repeat, cancel and read orders, at any of the instances that run at the moment."""

import asyncio
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import httpx

from tests.eventually import eventually_async
from tests.processes import ServiceProcess

CLIENTS = 6
CUSTOMERS = 12
LIMIT = 300
PAUSE_SECONDS = 0.02
TIMEOUT_SECONDS = 30.0

WITH_KEY = 0.7
REPEATED = 0.3
CANCELLED = 0.2
WAITED_FOR = 0.2
NEW_CUSTOMER = 0.05


class Forbidden(Exception):
    """An answer that no version may give: neither a success, nor the refusal of a request that is wrong, nor a 503."""


@dataclass
class Request:
    """A POST with a key, and all ids that it was answered with."""

    path: str
    key: str
    body: dict[str, object]
    ids: set[int] = field(default_factory=set)


class Load:
    """Runs until it is stopped. A request without an answer, or with a 503, is repeated if it has a key.

    Attributes:
        instances: who may be asked, by service.
        answered: how many requests got another answer than 503, by instance.
        requests: those with a key.
        orders: all ids of orders that were acknowledged.
        cancelled: those whose cancellation was acknowledged.
    """

    def __init__(self, seed: int) -> None:
        self.instances: dict[str, list[ServiceProcess]] = {"customer": [], "order": []}
        self.answered = Counter[ServiceProcess]()
        self.requests: list[Request] = []
        self.orders: set[int] = set()
        self.cancelled: set[int] = set()
        self._customers: list[int] = []
        self._chance = random.Random(seed)
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as http:
            for _ in range(CUSTOMERS):
                await self._create_customer(http)
            await asyncio.gather(*(self._client(http) for _ in range(CLIENTS)))

    def stop(self) -> None:
        """Lets the requests that are under way end."""
        self._stopping.set()

    async def repeat(self, requests: list[Request]) -> None:
        """Sends requests again that were answered before."""
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as http:
            for request in requests:
                await self._place(http, request)

    async def _client(self, http: httpx.AsyncClient) -> None:
        while not self._stopping.is_set():
            if self._chance.random() < NEW_CUSTOMER:
                await self._create_customer(http)
            await self._order(http)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), PAUSE_SECONDS)

    async def _create_customer(self, http: httpx.AsyncClient) -> None:
        body: dict[str, object] = {"name": "Jane Doe", "creditLimit": {"amount": LIMIT}}
        request = self._with_key("/customers", body)
        await self._place(http, request)
        self._customers += request.ids

    async def _order(self, http: httpx.AsyncClient) -> None:
        customer, total = self._chance.choice(self._customers), self._chance.randint(1, 100)
        body: dict[str, object] = {"customerId": customer, "orderTotal": {"amount": total}}
        if self._chance.random() < WITH_KEY:
            order_id = await self._order_with_key(http, self._with_key("/orders", body))
        else:
            answer = await self._ask(http, "POST", "order", "/orders", json=body)
            if answer is None:
                return
            order_id = answer.json()["orderId"]
        self.orders.add(order_id)
        if self._chance.random() < CANCELLED:
            # 409: it was rejected before.
            answer = await self._ask(http, "POST", "order", f"/orders/{order_id}/cancel", allowed=httpx.codes.CONFLICT)
            if answer is not None and answer.status_code == httpx.codes.OK:
                self.cancelled.add(order_id)
        await self._ask(http, "GET", "order", f"/orders?customerId={customer}&limit=5")

    async def _order_with_key(self, http: httpx.AsyncClient, request: Request) -> int:
        await self._place(http, request)
        if self._chance.random() < REPEATED:
            await self._place(http, request)
        return next(iter(request.ids))

    async def _place(self, http: httpx.AsyncClient, request: Request) -> None:
        service = request.path.strip("/").removesuffix("s")
        headers = {"Idempotency-Key": request.key}
        if self._chance.random() < WAITED_FOR:
            headers["Prefer"] = "wait=5"
        ask = partial(self._ask, http, "POST", service, request.path, json=request.body, headers=headers)

        async def require_answer() -> httpx.Response:
            answer = await ask()
            assert answer is not None, f"{request.path} is not answered"
            return answer

        request.ids.add((await eventually_async(require_answer)).json()[f"{service}Id"])

    async def _ask(
        self,
        http: httpx.AsyncClient,
        method: str,
        service: str,
        path: str,
        allowed: int = httpx.codes.OK,
        **content: Any,
    ) -> httpx.Response | None:
        """The answer of any instance; None if there was none, or a 503.

        Raises:
            Forbidden: it is neither 200, nor 503, nor what is allowed besides.
        """
        instance = self._chance.choice(self.instances[service])
        try:
            answer = await http.request(method, f"{instance.url}{path}", **content)
        except httpx.TransportError:
            return None
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return None
        self.answered[instance] += 1
        if answer.status_code not in (httpx.codes.OK, allowed):
            raise Forbidden(
                f"{method} {answer.url}: {answer.status_code} {answer.text}; {instance.log.read_text()[-2000:]}"
            )
        return answer

    def _with_key(self, path: str, body: dict[str, object]) -> Request:
        self.requests.append(request := Request(path, str(UUID(int=self._chance.getrandbits(128))), body))
        return request
