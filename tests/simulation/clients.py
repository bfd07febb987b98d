"""Clients at work: they send requests over HTTP, and check each answer as soon as they have it.

A client that gets no answer, or a 503, sends its request again if that is safe: reads, cancellations, and requests with
an idempotency key. Without a key it gives up, and the ledger notes that the outcome is unknown.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from contracts.money import to_amount
from services.order.domain import Order, OrderState
from storage.idempotency import KeyExpired
from tests.simulation import operator
from tests.simulation.clock import pass_time
from tests.simulation.http import Answer, HttpServer, Request
from tests.simulation.ledger import Ledger
from tests.simulation.plan import (
    Action,
    CancelOrder,
    CreateCustomer,
    PlaceOrder,
    ReadOrder,
    ReadView,
    Republish,
)
from tests.simulation.postgres import Database
from tests.simulation.repositories import ORDERS
from tests.simulation.world import Crashed, World

RETRY_SECONDS = 0.2
LOST_ANSWER_ODDS = 0.05

OK, NOT_FOUND, CONFLICT, KEY_REUSED, UNAVAILABLE = 200, 404, 409, 422, 503

BECOMES = {
    OrderState.PENDING: set(OrderState),
    OrderState.APPROVED: {OrderState.APPROVED, OrderState.CANCELLED},
    OrderState.REJECTED: {OrderState.REJECTED},
    OrderState.CANCELLED: {OrderState.CANCELLED},
}
"""For each state that was shown to a client, the states that the order may have by now."""


@dataclass
class Clients:
    """All clients of a run.

    Args:
        servers_of: by a service's name, its instances that accept requests at the moment.
        databases: by name; looked into to check answers, and used by the operator's process.
    """

    world: World
    servers_of: Callable[[str], list[HttpServer]]
    databases: dict[str, Database]
    ledger: Ledger = field(default_factory=Ledger)

    async def act(self, actions: Sequence[Action]) -> None:
        """Does everything at its time, and returns when every client has an answer or has given up."""
        placed = {action.number for action in actions if isinstance(action, PlaceOrder)}
        tasks = [
            asyncio.create_task(self._act(action))
            for action in actions
            if not isinstance(action, CancelOrder | ReadOrder) or action.order in placed
        ]
        for task in tasks:
            await task

    async def _act(self, action: Action) -> None:
        await pass_time(action.at)
        match action:
            case CreateCustomer():
                await self._create_customer(action)
            case PlaceOrder():
                await self._place_order(action)
            case CancelOrder():
                await self._cancel_order(action)
            case ReadOrder():
                await self._read_order(action)
            case ReadView():
                await self._read_view(action)
            case Republish():
                await operator.republish(self.world, self.databases, action.service)
            case _:
                assert_never(action)

    # Requests that create something

    async def _create_customer(self, action: CreateCustomer) -> None:
        body = {"name": f"Customer {action.number}", "creditLimit": {"amount": to_amount(action.limit)}}
        answer = await self._ask("customer", Request("POST", "/customers", body, action.key))
        if answer is None:
            self.ledger.unknown_customers.add(action.number)
        elif self._is_one_of(answer, OK):
            self.ledger.customers[action.number] = answer.body["customerId"]

    async def _place_order(self, action: PlaceOrder) -> None:
        # Ids are given in order, so the number is a good guess for a customer that is not created yet.
        customer_id = self.ledger.customers.get(action.customer, action.customer)
        self.ledger.requested[action.number] = customer_id, action.total
        body = {"customerId": customer_id, "orderTotal": {"amount": to_amount(action.total)}}
        request = Request("POST", "/orders", body, action.key, action.wait)
        copies = [asyncio.create_task(self._send_order(action.number, request)) for _ in range(action.copies)]
        for copy in copies:
            await copy

    async def _send_order(self, number: int, request: Request) -> None:
        answer = await self._ask("order", request)
        if answer is None:
            self.ledger.unknown_orders.add(number)
        elif answer.status == KEY_REUSED:
            self._note_refused(number, request)
        elif self._is_one_of(answer, OK):
            self._note_placed(number, answer.body)

    def _note_refused(self, number: int, request: Request) -> None:
        """Checks that the request has a key, and that no copy of it was accepted."""
        self.world.struck("key refused for another body")
        self.world.require(request.is_repeatable, "order %d was refused for its key, and has none", number)
        self.world.require(number not in self.ledger.orders, "order %d was accepted, then refused for its key", number)
        self.ledger.refused.add(number)

    def _note_placed(self, number: int, body: Any) -> None:
        """Checks that the id is that of the order that was asked for, and the same as in an earlier answer."""
        self.world.require(number not in self.ledger.refused, "order %d was refused for its key, then accepted", number)
        order = self._row(body["orderId"])
        requested = self.ledger.requested[number]
        is_right = order is not None and (order.customer_id, order.total) == requested
        self.world.require(is_right, "the request for %s was answered with the id of %s", requested, order)
        first = self.ledger.orders.setdefault(number, body["orderId"])
        self.world.require(first == body["orderId"], "order %d: answered with id %d, then %s", number, first, body)
        if "orderState" in body:
            self._check_state(body["orderId"], body["orderState"])

    # Requests about an order

    async def _cancel_order(self, action: CancelOrder) -> None:
        order_id = await self._order_id(action.order)
        if order_id is None:
            return
        answer = await self._ask("order", Request("POST", f"/orders/{order_id}/cancel"))
        if answer is None or not self._is_one_of(answer, OK, CONFLICT):
            return
        cancelled = answer.status == OK
        self._check_state(order_id, answer.body["orderState"] if cancelled else OrderState.REJECTED)
        before = self.ledger.cancelled.setdefault(action.order, cancelled)
        self.world.require(before == cancelled, "order %d: cancel answered %s, then %s", order_id, before, cancelled)

    async def _read_order(self, action: ReadOrder) -> None:
        order_id = await self._order_id(action.order)
        if order_id is None:
            return
        answer = await self._ask("order", Request("GET", f"/orders/{order_id}", wait=action.wait))
        if answer and self._is_one_of(answer, OK):
            self._check_state(order_id, answer.body["orderState"])

    async def _read_view(self, action: ReadView) -> None:
        customer_id = self.ledger.customers.get(action.customer, action.customer)
        answer = await self._ask("history", Request("GET", f"/customers/{customer_id}"))
        if answer is None or not self._is_one_of(answer, OK, NOT_FOUND) or answer.status == NOT_FOUND:
            return
        self.world.struck("customer read from the view")
        for shown in answer.body["orders"].values():
            self._check_state(shown["orderId"], shown["state"])
            order = self._row(shown["orderId"])
            is_right = order is not None and shown["orderTotal"] == {"amount": to_amount(order.total)}
            self.world.require(is_right, "the view shows %s for %s", shown, order)

    async def _order_id(self, number: int) -> int | None:
        """Waits until a client knows the order's id; None if no client ever will."""
        while number not in self.ledger.orders:
            if self.ledger.has_no_order(number):
                return None
            await pass_time(RETRY_SECONDS)
        return self.ledger.orders[number]

    # Checks

    def _row(self, order_id: int) -> Order | None:
        order: Order | None = self.databases["order"].newest((ORDERS, order_id))
        return order

    def _check_state(self, order_id: int, shown: str) -> None:
        """An order's state in an answer is one that the order has had."""
        order = self._row(order_id)
        allowed = order is not None and order.state in BECOMES[OrderState(shown)]
        self.world.require(allowed, "order %d was shown as %s, and is %s", order_id, shown, order)

    def _is_one_of(self, answer: Answer, *statuses: int) -> bool:
        self.world.require(answer.status in statuses, "a request was answered with %s", answer)
        return answer.status in statuses

    # HTTP

    async def _ask(self, service: str, request: Request) -> Answer | None:
        """The answer of any instance of the service; None if the client has to give up."""
        while True:
            await self.world.pause()
            servers = self.servers_of(service)
            if servers:
                answer = await self._exchange(self.world.rng.choice(servers), request)
                if answer:
                    return answer
                if not request.is_repeatable:
                    self.world.struck("request given up")
                    return None
                self.world.struck("request repeated")
            await pass_time(RETRY_SECONDS)

    async def _exchange(self, server: HttpServer, request: Request) -> Answer | None:
        """One request and its answer; None for a 503, a lost answer, or a server that was killed."""
        sent = self.world.now
        task = server.start(request)
        await asyncio.wait([task])
        await self.world.pause()
        answer = self._result(task)
        self.world.note("client", "%s %s %s: %s", request.method, request.path, request.body, answer)
        if answer is None or answer.status != UNAVAILABLE:
            self._check_wait(request, answer, self.world.now - sent)
            return answer
        self.world.require(answer.body["detail"] != str(KeyExpired()), "a key is gone, and no run takes that long")
        return None

    def _check_wait(self, request: Request, answer: Answer | None, seconds: float) -> None:
        """An order that is still PENDING is shown only after the time that the client wanted to wait."""
        if request.wait and answer and answer.body.get("orderState") == OrderState.PENDING:
            self.world.require(
                seconds >= request.wait, "after %.1f s: %s is answered with %s", seconds, request, answer
            )

    def _result(self, task: "asyncio.Task[Answer]") -> Answer | None:
        if task.cancelled():
            return None
        error = task.exception()
        if error is None:
            return task.result() if self.world.rng.random() >= LOST_ANSWER_ODDS else None
        if not isinstance(error, Crashed):
            self.world.violate(f"a request failed: {error!r}")
        return None
