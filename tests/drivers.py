"""What a user does with the three APIs, as short calls."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from infra.native import Stack

Json = dict[str, Any]

TIMEOUT_SECONDS = 45.0
WAIT_SECONDS = 30
"""The longest wait that the order service grants."""


@dataclass(frozen=True)
class Customers:
    """The customer service's API."""

    http: httpx.Client

    def create(self, limit: float = 100, name: str = "Jane Doe") -> int:
        answer = self.http.post("/customers", json={"name": name, "creditLimit": {"amount": limit}})
        return int(_ok(answer)["customerId"])

    def read(self, customer_id: int) -> Json:
        return _ok(self.http.get(f"/customers/{customer_id}"))

    def available(self, customer_id: int) -> float:
        amount: float = self.read(customer_id)["availableCredit"]["amount"]
        return amount


@dataclass(frozen=True)
class Orders:
    """The order service's API."""

    http: httpx.Client

    def place(self, customer_id: int, total: float = 4, key: str | None = None) -> int:
        headers = {"Idempotency-Key": key} if key else {}
        body = {"customerId": customer_id, "orderTotal": {"amount": total}}
        return int(_ok(self.http.post("/orders", json=body, headers=headers))["orderId"])

    def read(self, order_id: int) -> Json:
        return _ok(self.http.get(f"/orders/{order_id}"))

    def settled(self, order_id: int) -> Json:
        """The order once it is final."""
        order = _ok(self.http.get(f"/orders/{order_id}", headers={"Prefer": f"wait={WAIT_SECONDS}"}))
        assert order["orderState"] != "PENDING", order
        return order

    def cancel(self, order_id: int) -> Json:
        return _ok(self.http.post(f"/orders/{order_id}/cancel"))

    def of(self, customer_id: int) -> list[Json]:
        return list(items(self.http, f"/orders?customerId={customer_id}&limit=1000"))


@dataclass(frozen=True)
class History:
    """The history service's API."""

    http: httpx.Client

    def customer(self, customer_id: int) -> Json:
        return _ok(self.http.get(f"/customers/{customer_id}"))

    def order(self, order_id: int) -> Json:
        return _ok(self.http.get(f"/orders/{order_id}"))

    def orders(self, customer_id: int) -> list[Json]:
        return list(items(self.http, f"/customers/{customer_id}/orders?limit=1000"))

    def count(self) -> int:
        return int(_ok(self.http.get("/customers/count"))["count"])


@dataclass(frozen=True)
class System:
    """The whole system, as its users see it."""

    customers: Customers
    orders: Orders
    history: History


@contextmanager
def connected(ports: Mapping[str, int]) -> Iterator[System]:
    """Drivers for the services on these ports."""
    with ExitStack() as clients:

        def client(service: str) -> httpx.Client:
            url = f"http://127.0.0.1:{ports[service]}"
            return clients.enter_context(httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=False))

        yield System(Customers(client("customer")), Orders(client("order")), History(client("history")))


@contextmanager
def stopped(stack: Stack, component: str) -> Iterator[None]:
    """Without this component for a while; up and ready again afterwards."""
    stack.stop(component)
    try:
        yield
    finally:
        stack.start(component)
        stack.wait_ready(component)


def items(http: httpx.Client, path: str) -> Iterator[Json]:
    """Walks a paged list from page to page."""
    for page in pages(http, path):
        yield from page["items"]


def pages(http: httpx.Client, path: str) -> Iterator[Json]:
    """The pages of a list, from the first to the last."""
    following: str | None = path
    while following:
        page = _ok(http.get(following))
        yield page
        following = page.get("next")


def _ok(answer: httpx.Response) -> Json:
    assert answer.status_code == 200, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}"
    body: Json = answer.json()
    return body
