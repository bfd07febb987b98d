"""What the clients do: the part of a plan that is drawn for them, and its execution.

A client that gets no answer, or an error that may pass, asks again with the same Idempotency-Key.
What it was told in the end it writes into the ledger.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from contracts.money import Money, PositiveMoney
from services.customer import handlers as customer_service
from services.customer.requests import CreateCustomer as CreateCustomerRequest
from services.order import handlers as order_service
from services.order.domain import NotCancellable, OrderState
from services.order.requests import CreateOrder as CreateOrderRequest
from services.order.waiting import Waiting
from storage.postgres import TRANSIENT_ERRORS
from tests.simulation.clock import pass_time
from tests.simulation.plan import Action, CancelOrder, CreateCustomer, PlaceOrder
from tests.simulation.postgres import Database
from tests.simulation.process import Life, Process
from tests.simulation.repositories import CustomerRepository, OrderRepository
from tests.simulation.world import Crashed, World

T = TypeVar("T")

LIMITS = (0, 2_000, 5_000, 5_000, 100_000)
TOTALS = (1_000, 1_000, 2_000, 3_000)
STRANGER = 1_000
"""Numbers from here on are of customers that nobody creates."""
RETRY_SECONDS = 0.2
LOST_ANSWER_ODDS = 0.05


def draw(rng: random.Random, seconds: float) -> tuple[Action, ...]:
    """Some customers, orders for them and for strangers, and cancellations early and late, some twice.

    Spread over the time, or in a few bursts, where one batch holds many orders.
    """
    customers = rng.randint(1, 3)
    strangers = rng.choice((0.1, 0.1, 0.7))
    moments = [round(rng.uniform(0, seconds), 3) for _ in range(rng.choice((1, 3, 100)))]
    actions: list[Action] = [
        CreateCustomer(rng.choice(moments) if number > 1 else 0.0, number, rng.choice(LIMITS))
        for number in range(1, customers + 1)
    ]
    for number in range(1, rng.randint(2, 12) + 1):
        customer = STRANGER + number if rng.random() < strangers else rng.randint(1, customers)
        placed = PlaceOrder(rng.choice(moments), number, customer, rng.choice(TOTALS) + number)
        actions.append(placed)
        while rng.random() < 0.3:
            soon = round(rng.choice((0.0, 0.02, 0.1, 1.0)) * rng.random(), 4)
            actions.append(CancelOrder(placed.at + soon, number))
    return tuple(actions)


@dataclass
class Ledger:
    """What clients were told, by the plan's numbers."""

    customers: dict[int, int] = field(default_factory=dict)
    orders: dict[int, int] = field(default_factory=dict)
    cancelled: dict[int, bool] = field(default_factory=dict)
    """Whether the order was cancelled; False: refused, for it had been rejected."""


@dataclass
class Clients:
    """All of them. `services` are the processes to send a request to, by the service's name."""

    world: World
    services: dict[str, list[Process]]
    databases: dict[str, Database]
    ledger: Ledger = field(default_factory=Ledger)

    async def act(self, actions: Sequence[Action]) -> None:
        """Does everything at its time, and returns when everything was answered."""
        placed = {action.number for action in actions if isinstance(action, PlaceOrder)}
        tasks = [
            asyncio.create_task(self._act(action))
            for action in actions
            if not isinstance(action, CancelOrder) or action.order in placed
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

    async def _create_customer(self, action: CreateCustomer) -> None:
        request = CreateCustomerRequest(name=f"Customer {action.number}", credit_limit=Money.of(action.limit))
        key = f"customer-{action.number}"

        async def call(life: Life) -> int:
            repository: Any = CustomerRepository(self.databases["customer"], life)
            return await customer_service.create_customer(repository, request, key, None)

        customer_id = await self._ask("customer", key, call)
        self.ledger.customers[action.number] = customer_id

    async def _place_order(self, action: PlaceOrder) -> None:
        # Identities are given in order: the number is a good guess for a customer still to come.
        customer_id = self.ledger.customers.get(action.customer, action.customer)
        total = PositiveMoney.model_construct(cents=action.total)
        request = CreateOrderRequest(customer_id=customer_id, order_total=total)
        key = f"order-{action.number}"

        async def call(life: Life) -> int:
            repository: Any = OrderRepository(self.databases["order"], life)
            return await order_service.create_order(repository, request, key, None)

        self.ledger.orders[action.number] = await self._ask("order", key, call)

    async def _cancel_order(self, action: CancelOrder) -> None:
        while action.order not in self.ledger.orders:
            await pass_time(RETRY_SECONDS)
        order_id = self.ledger.orders[action.order]

        async def call(life: Life) -> bool:
            repository: Any = OrderRepository(self.databases["order"], life)
            try:
                order = await order_service.cancel_order(repository, Waiting(), order_id, None)
            except NotCancellable:
                return False
            self.world.require(order is not None, "order %d was acknowledged and is unknown", order_id)
            return order is not None and order.state is OrderState.CANCELLED

        cancelled = await self._ask("order", f"cancel-{action.order}", call)
        before = self.ledger.cancelled.setdefault(action.order, cancelled)
        self.world.require(before == cancelled, "order %d: cancel answered %s, then %s", order_id, before, cancelled)

    async def _ask(self, service: str, what: str, call: Callable[[Life], Coroutine[Any, Any, T]]) -> T:
        """Sends the request to any instance until one answers."""
        while True:
            await self.world.pause()
            lives = [process.life for process in self.services[service] if process.life]
            if lives:
                life = self.world.rng.choice(lives)
                task = life.run(call(life))
                await asyncio.wait([task])
                if self._is_answered(task):
                    answer: T = task.result()
                    self.world.note("client", "%s is answered: %s", what, answer)
                    return answer
                self.world.struck("request repeated")
                self.world.note("client", "%s has got no answer", what)
            await pass_time(RETRY_SECONDS)

    def _is_answered(self, task: "asyncio.Task[Any]") -> bool:
        if task.cancelled():
            return False
        error = task.exception()
        if error is None:
            return self.world.rng.random() >= LOST_ANSWER_ODDS
        if not isinstance(error, (Crashed, *TRANSIENT_ERRORS)):
            self.world.violate(f"a request failed: {error!r}")
        return False
