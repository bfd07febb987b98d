"""What clients and operators do: the actions that are drawn for a plan."""

import random

from tests.simulation.plan import (
    Action,
    CancelOrder,
    CreateCustomer,
    PlaceOrder,
    ReadOrder,
    ReadView,
    Republish,
)

LIMITS = (0, 2_000, 5_000, 5_000, 100_000)
TOTALS = (1_000, 1_000, 2_000, 3_000)
STRANGER = 1_000
"""Numbers from here on belong to customers that are never created."""
MOST_ORDERS = 12

KEYED_ODDS = 0.6
REUSED_KEY_ODDS = 0.15
COPIES = (1, 1, 1, 2, 3)
WAITS = (None, None, None, 1, 5)
CANCEL_ODDS = 0.3
READ_ODDS = 0.1
REPUBLISH_ODDS = 0.1
LATER_SECONDS = (0.0, 0.02, 0.1, 1.0)


def draw(rng: random.Random, seconds: float) -> tuple[Action, ...]:
    """Some customers, orders for them and for unknown customers, and what follows each order.

    The actions are spread over the time, or in a few bursts, where one group or batch holds many orders.
    """
    customers = rng.randint(1, 3)
    unknown_odds = rng.choice((0.1, 0.1, 0.7))
    moments = [round(rng.uniform(0, seconds), 3) for _ in range(rng.choice((1, 3, 100)))]
    actions: list[Action] = [
        CreateCustomer(rng.choice(moments) if number > 1 else 0.0, number, rng.choice(LIMITS), _key(rng, "c", number))
        for number in range(1, customers + 1)
    ]
    placed: list[PlaceOrder] = []
    for number in range(1, rng.randint(2, MOST_ORDERS) + 1):
        customer = STRANGER + number if rng.random() < unknown_odds else rng.randint(1, customers)
        order = _draw_order(rng, rng.choice(moments), number, customer, placed)
        placed.append(order)
        actions += [order, *_draw_sequel(rng, order)]
    while rng.random() < REPUBLISH_ODDS:
        actions.append(Republish(rng.choice(moments), rng.choice(("customer", "order"))))
    return tuple(actions)


def _draw_order(rng: random.Random, at: float, number: int, customer: int, earlier: list[PlaceOrder]) -> PlaceOrder:
    """An order with or without a key; sometimes with the key of another request, at about the same time."""
    key = _key(rng, "o", number)
    keyed = [order for order in earlier if order.key]
    if keyed and rng.random() < REUSED_KEY_ODDS:
        reused = rng.choice(keyed)
        key, at = reused.key, _soon(rng, reused.at)
    total = rng.choice(TOTALS) + number
    copies = rng.choice(COPIES) if key else 1
    return PlaceOrder(at, number, customer, total, key, copies, rng.choice(WAITS))


def _draw_sequel(rng: random.Random, order: PlaceOrder) -> list[Action]:
    """Cancellations early and late, some of them twice, and reads."""
    actions: list[Action] = []
    while rng.random() < CANCEL_ODDS:
        actions.append(CancelOrder(_soon(rng, order.at), order.number))
    while rng.random() < READ_ODDS:
        actions.append(ReadOrder(_soon(rng, order.at), order.number, rng.choice(WAITS)))
    while rng.random() < READ_ODDS:
        actions.append(ReadView(_soon(rng, order.at), order.customer))
    return actions


def _key(rng: random.Random, kind: str, number: int) -> str | None:
    return f"{kind}{number}" if rng.random() < KEYED_ODDS else None


def _soon(rng: random.Random, at: float) -> float:
    return round(at + rng.choice(LATER_SECONDS) * rng.random(), 4)
