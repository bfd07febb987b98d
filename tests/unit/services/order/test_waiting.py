import asyncio
from collections.abc import Sequence

from services.order.domain import Order, OrderState
from services.order.waiting import Waiting
from tests import builders

PENDING = builders.order()
APPROVED = builders.order(OrderState.APPROVED, version=2)

LONG = 3_600.0
"""Seconds that no test would live to see."""


class Finds:
    """Looks at an order and finds it in these states, one after the other; the last one for good."""

    def __init__(self, *states: Order | None) -> None:
        self._states: Sequence[Order | None] = states
        self.looks = 0
        self.looked = asyncio.Event()

    async def __call__(self, order_id: int) -> Order | None:  # noqa: ARG002 - there is only one
        self.looks += 1
        self.looked.set()
        return self._states[min(self.looks, len(self._states)) - 1]


async def test_an_order_that_is_final_is_answered_at_the_first_look() -> None:
    find = Finds(APPROVED)
    assert await Waiting().until_settled(find, 42, LONG) is APPROVED
    assert find.looks == 1


async def test_an_unknown_order_is_not_waited_for() -> None:
    assert await Waiting().until_settled(Finds(None), 42, LONG) is None


async def test_without_time_to_wait_a_pending_order_is_answered_as_it_is() -> None:
    assert await Waiting().until_settled(Finds(PENDING), 42, 0) is PENDING


async def test_an_announcement_ends_the_wait() -> None:
    waiting, find = Waiting(), Finds(PENDING)
    answer = asyncio.create_task(waiting.until_settled(find, APPROVED.id, LONG))
    await find.looked.wait()
    waiting.announce([APPROVED])
    assert await answer is APPROVED
    assert find.looks == 1


async def test_an_order_that_was_just_placed_is_not_looked_at_before_there_is_news() -> None:
    waiting, find = Waiting(), Finds(PENDING)
    answer = asyncio.create_task(waiting.until_settled(find, APPROVED.id, LONG, just_placed=True))
    asyncio.get_running_loop().call_soon(waiting.announce, [APPROVED])  # after the task has begun to wait
    assert await answer is APPROVED
    assert find.looks == 0


async def test_without_time_to_wait_an_order_that_was_just_placed_is_answered_as_it_is() -> None:
    assert await Waiting().until_settled(Finds(PENDING), 42, 0, just_placed=True) is PENDING


async def test_a_decision_about_an_order_just_placed_is_seen_without_an_announcement() -> None:
    assert await Waiting().until_settled(Finds(PENDING, APPROVED), 42, LONG, just_placed=True) is APPROVED


async def test_an_announcement_between_look_and_wait_is_not_missed() -> None:
    waiting = Waiting()

    class SettledWhileLooking(Finds):
        async def __call__(self, order_id: int) -> Order | None:
            found = await super().__call__(order_id)
            waiting.announce([APPROVED])
            return found

    find = SettledWhileLooking(PENDING)
    assert await waiting.until_settled(find, APPROVED.id, LONG) is APPROVED


async def test_a_decision_by_another_instance_is_seen_without_an_announcement() -> None:
    find = Finds(PENDING, PENDING, APPROVED)
    assert await Waiting().until_settled(find, 42, LONG) is APPROVED


async def test_many_wait_for_one_order_and_all_are_woken() -> None:
    waiting, finds = Waiting(), [Finds(PENDING) for _ in range(5)]
    answers = [asyncio.create_task(waiting.until_settled(find, APPROVED.id, LONG)) for find in finds]
    await asyncio.gather(*(find.looked.wait() for find in finds))
    waiting.announce([APPROVED])
    assert await asyncio.gather(*answers) == [APPROVED] * 5


async def test_nobody_is_remembered_after_the_wait() -> None:
    waiting, find = Waiting(), Finds(PENDING)
    given_up = asyncio.create_task(waiting.until_settled(find, 42, LONG))
    await find.looked.wait()
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    assert not waiting._waiters
