"""What the order service relies on when orders are placed, read and locked."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from services.order.domain import Order, OrderState
from services.order.ports import NewOrder, OrderRepository


class Undone(Exception):
    """Rolls a transaction back."""


async def _place(orders: OrderRepository, *new: NewOrder) -> list[int | None]:
    async with orders.transaction() as transaction:
        return await transaction.insert_orders(new)


async def _place_pending(orders: OrderRepository, count: int) -> list[Order]:
    ids = await _place(orders, *[NewOrder(1, 400)] * count)
    placed = [await orders.find_order(order_id) for order_id in ids if order_id is not None]
    return [order for order in placed if order is not None]


async def test_several_orders_get_ids_in_the_order_given_each_with_its_own_data(orders: OrderRepository) -> None:
    # The keys are not in the order of the alphabet, in which they are claimed.
    new = [NewOrder(7, 400, "z", b"1"), NewOrder(8, 500), NewOrder(9, 600, "a", b"2"), NewOrder(7, 700)]
    ids = await _place(orders, *new)
    assert ids == [1, 2, 3, 4]
    stored = [await orders.find_order(order_id) for order_id in (1, 2, 3, 4)]
    assert stored == [Order(1, 7, 400), Order(2, 8, 500), Order(3, 9, 600), Order(4, 7, 700)]
    async with orders.transaction() as transaction:
        answers = await transaction.stored_answers(["a", "z"])
    assert {key: (stored.fingerprint, stored.answer) for key, stored in answers.items()} == {
        "z": (b"1", 1),
        "a": (b"2", 3),
    }


async def test_an_order_with_a_used_key_is_left_out_and_the_others_are_placed(orders: OrderRepository) -> None:
    await _place(orders, NewOrder(7, 400, "used", b"1"))
    # The refused order uses up an id, too.
    new = [NewOrder(8, 500), NewOrder(9, 600, "used", b"2"), NewOrder(10, 700, "new", b"3")]
    assert await _place(orders, *new) == [2, None, 4]
    assert await orders.list_orders(0, 10, None, None) == [Order(1, 7, 400), Order(2, 8, 500), Order(4, 10, 700)]
    async with orders.transaction() as transaction:
        answers = await transaction.stored_answers(["used", "new", "unknown"])
    assert {key: (stored.fingerprint, stored.answer) for key, stored in answers.items()} == {
        "used": (b"1", 1),
        "new": (b"3", 4),
    }


async def test_a_second_transaction_with_the_same_key_waits_for_the_first_and_places_nothing_for_it(
    orders: OrderRepository,
) -> None:
    async with orders.transaction() as transaction:
        assert await transaction.insert_orders([NewOrder(7, 400, "key", b"1")]) == [1]
        waiting = asyncio.create_task(_place(orders, NewOrder(8, 500), NewOrder(7, 400, "key", b"1")))
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
    assert await waiting == [2, None]
    assert await orders.list_orders(0, 10, None, None) == [Order(1, 7, 400), Order(2, 8, 500)]


async def test_a_second_transaction_with_the_same_key_places_its_order_if_the_first_is_rolled_back(
    orders: OrderRepository,
) -> None:
    with suppress(Undone):
        async with orders.transaction() as transaction:
            await transaction.insert_orders([NewOrder(7, 400, "key", b"1")])
            waiting = asyncio.create_task(_place(orders, NewOrder(8, 500, "key", b"2")))
            await asyncio.wait([waiting], timeout=0.1)
            assert not waiting.done()
            raise Undone
    assert await waiting == [2]
    assert await orders.list_orders(0, 10, None, None) == [Order(2, 8, 500)]


async def test_two_transactions_with_the_same_keys_in_another_order_cannot_deadlock(orders: OrderRepository) -> None:
    def keyed(*keys: str) -> list[NewOrder]:
        return [NewOrder(7, 400, key, b"1") for key in keys]

    with suppress(Undone):
        async with orders.transaction() as transaction:
            await transaction.insert_orders(keyed("m"))
            waiting = [asyncio.create_task(_place(orders, *keyed(*keys))) for keys in ("amz", "zma")]
            await asyncio.wait(waiting, timeout=0.2)
            raise Undone
    placed = [order_id is not None for ids in await asyncio.gather(*waiting) for order_id in ids]
    assert sorted(placed) == [False, False, False, True, True, True]


async def test_an_order_is_read_as_last_committed(orders: OrderRepository) -> None:
    [order] = await _place_pending(orders, 1)
    approved = Order(order.id, order.customer_id, order.total, OrderState.APPROVED, None, 2)
    async with orders.transaction() as transaction:
        await transaction.store_orders([approved])
        assert await orders.find_order(order.id) == order
    assert await orders.find_order(order.id) == approved
    assert await orders.find_order(order.id + 1) is None


async def test_orders_are_listed_by_id_with_those_of_one_customer_or_one_state_only(orders: OrderRepository) -> None:
    await _place(orders, NewOrder(7, 400), NewOrder(8, 500), NewOrder(7, 600), NewOrder(7, 700))
    approved = Order(4, 7, 700, OrderState.APPROVED, None, 2)
    async with orders.transaction() as transaction:
        await transaction.store_orders([approved])
    assert [order.id for order in await orders.list_orders(1, 2, None, None)] == [2, 3]
    assert [order.id for order in await orders.list_orders(0, 10, 7, None)] == [1, 3, 4]
    assert await orders.list_orders(0, 10, 7, OrderState.APPROVED) == [approved]
    assert await orders.list_orders(0, 10, 8, OrderState.APPROVED) == []


async def test_overdue_orders_are_the_pending_ones_that_no_other_transaction_has_locked(
    orders: OrderRepository,
) -> None:
    first, second, third = await _place_pending(orders, 3)
    async with orders.transaction() as transaction:
        assert await transaction.lock_orders([first.id]) == {first.id: first}
        async with orders.transaction() as another:
            assert await another.lock_overdue_orders(timedelta(hours=1), 10) == []
            overdue = await another.lock_overdue_orders(timedelta(), 10)
    assert sorted(order.id for order in overdue) == [second.id, third.id]
    assert {order.state for order in overdue} == {OrderState.PENDING}


async def test_the_next_orders_are_locked_against_changes_in_the_order_of_their_ids(orders: OrderRepository) -> None:
    first, second, third = await _place_pending(orders, 3)

    async def lock_first() -> dict[int, Order]:
        async with orders.transaction() as another:
            return await another.lock_orders([first.id])

    async with orders.transaction() as transaction:
        assert await transaction.lock_next_orders(0, 2) == [first, second]
        assert await transaction.lock_next_orders(second.id, 2) == [third]
        waiting = asyncio.create_task(lock_first())
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
    assert await waiting == {first.id: first}
