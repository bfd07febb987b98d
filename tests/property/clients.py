"""What clients ask of the services over HTTP, and what each answer must be.

Orders are placed in groups: all requests of a group are sent at once, so they share the order service's group commit.
Some carry an Idempotency-Key, several of a group may carry the same one, and a key may come with another body.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from hypothesis import note

from contracts.money import to_amount
from tests.property.world import World

PLACED = "SELECT id, customer_id, total_cents, xmin::text FROM orders"


@dataclass(frozen=True, slots=True)
class Command:
    """The body of a request to place an order; the total in cents."""

    customer_id: int
    total: int


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """A request to place an order, and which instance of the service it is sent to."""

    command: Command
    key: str | None = None
    instance: int = 0


class Clients:
    """Sends requests, and remembers which order each idempotency key was answered with.

    Amounts are in cents.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._keys: dict[str, tuple[Command, int]] = {}
        self._orders: dict[int, Command] = {}

    async def create_customer(self, limit: int) -> int:
        body = {"name": "Jane Doe", "creditLimit": {"amount": to_amount(limit)}}
        answer = await self._world.http["customer"][0].post("/customers", json=body)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["customerId"])

    async def place(self, requests: Sequence[PlaceOrder]) -> list[int]:
        """Sends these requests at once, checks their answers, and returns the ids of the orders, each once."""
        answers = await asyncio.gather(*(self._post(request) for request in requests))
        before = set(self._orders)
        for request, answer in zip(requests, answers, strict=True):
            if answer.status_code == 200:
                self._note_order(request, int(answer.json()["orderId"]))
            else:
                assert (answer.status_code, request.key is None) == (422, False), answer.text
        for request, answer in zip(requests, answers, strict=True):
            if answer.status_code == 422:
                first, _ = self._keys[request.key or ""]
                assert request.command != first, f"{request} was refused, and is the request that used its key first"
        await self._check_stored(before, {request.instance for request in requests})
        return sorted({int(answer.json()["orderId"]) for answer in answers if answer.status_code == 200})

    async def cancel(self, order_id: int) -> None:
        answer = await self._world.http["order"][0].post(f"/orders/{order_id}/cancel")
        assert answer.status_code in (200, 409), answer.text
        if answer.status_code == 409:
            note(f"order {order_id} was rejected before")

    async def expire_keys(self) -> None:
        """Lets the housekeeping delete every key; all of them may be used for something else then."""
        assert await self._world.expire_keys() == len(self._keys)
        self._keys = {}

    async def check_answers(self) -> None:
        """The order service and the history tell every order alike, once nothing is on its way."""
        for order_id in self._orders:
            [order], [shown] = self._world.http["order"][:1], self._world.http["history"]
            stated = (await order.get(f"/orders/{order_id}")).json()
            seen = (await shown.get(f"/orders/{order_id}")).json()
            assert (seen["state"], seen.get("rejectionReason")) == (
                stated["orderState"],
                stated.get("rejectionReason"),
            ), (stated, seen)

    async def _post(self, request: PlaceOrder) -> httpx.Response:
        command = request.command
        body = {"customerId": command.customer_id, "orderTotal": {"amount": to_amount(command.total)}}
        headers = {"Idempotency-Key": request.key} if request.key else {}
        return await self._world.http["order"][request.instance].post("/orders", json=body, headers=headers)

    def _note_order(self, request: PlaceOrder, order_id: int) -> None:
        if request.key:
            first = self._keys.get(request.key)
            assert first in (None, (request.command, order_id)), f"{request} was answered {order_id}, first {first}"
            if first:
                return
            self._keys[request.key] = (request.command, order_id)
        assert order_id not in self._orders, f"{request} was answered {order_id}, which is another request's order"
        self._orders[order_id] = request.command

    async def _check_stored(self, before: set[int], instances: set[int]) -> None:
        rows = await self._world.orders.fetch(PLACED)
        stored = {row["id"]: Command(row["customer_id"], row["total_cents"]) for row in rows}
        assert stored == self._orders
        transactions = {row["xmin"] for row in rows if row["id"] not in before}
        assert len(transactions) <= len(instances), "the requests of a group did not share a transaction"
