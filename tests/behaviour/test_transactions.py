"""What the handlers rely on when two transactions meet."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from contracts.money import Money
from services.customer.domain import Customer, Reservation, ReservationState
from services.customer.requests import CreateCustomer
from services.order.domain import OrderState
from storage.outbox import OutboxRow
from web.problems import Problem

LIMIT = 1_000
RESERVATION = Reservation(1, 1, 400, ReservationState.RESERVED)
REQUEST = CreateCustomer(name="Jane", credit_limit=Money.of(LIMIT))
ANOTHER_REQUEST = CreateCustomer(name="John", credit_limit=Money.of(LIMIT))


class Undone(Exception):
    """Rolls a transaction back."""


async def _create(customers: Any) -> Customer:
    async with customers.transaction() as transaction:
        customer: Customer = await transaction.insert_customer("Jane", LIMIT)
    return customer


async def _find(customers: Any, customer_id: int) -> Customer | None:
    async with customers.transaction() as transaction:
        found: dict[int, Customer] = await transaction.lock_customers([customer_id])
    return found.get(customer_id)


async def test_a_commit_is_visible_once_it_is_answered(customers: Any) -> None:
    customer = await _create(customers)
    assert await _find(customers, customer.id) == customer


async def test_what_was_rolled_back_is_not_there_and_its_identity_is_not_given_again(customers: Any) -> None:
    with suppress(Undone):
        async with customers.transaction() as transaction:
            lost = await transaction.insert_customer("Jane", LIMIT)
            raise Undone
    assert await _find(customers, lost.id) is None
    assert (await _create(customers)).id == lost.id + 1


async def test_nothing_is_visible_to_others_before_the_commit(customers: Any) -> None:
    async with customers.transaction() as transaction:
        customer = await transaction.insert_customer("Jane", LIMIT)
        assert await transaction.lock_customers([customer.id]) == {customer.id: customer}
        assert await _find(customers, customer.id) is None


async def test_a_lock_waits_for_the_other_transaction_and_then_sees_what_it_wrote(customers: Any) -> None:
    customer = await _create(customers)
    charged = Customer(customer.id, customer.name, LIMIT, 400, 2)
    async with customers.transaction() as transaction:
        await transaction.lock_customers([customer.id])
        waiting = asyncio.create_task(_find(customers, customer.id))
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
        await transaction.store_customers([charged])
    assert await waiting == charged


async def test_a_lock_is_released_by_a_rollback(customers: Any) -> None:
    customer = await _create(customers)
    with suppress(Undone):
        async with customers.transaction() as transaction:
            await transaction.lock_customers([customer.id])
            await transaction.store_customers([Customer(customer.id, customer.name, LIMIT, 400, 2)])
            raise Undone
    assert await _find(customers, customer.id) == customer


async def test_statements_see_what_was_committed_before_each_of_them(customers: Any) -> None:
    async with customers.transaction() as transaction:
        assert await transaction.find_reservations([1]) == {}
        await _decide(customers, RESERVATION)
        assert await transaction.find_reservations([1]) == {1: RESERVATION}


async def _decide(customers: Any, reservation: Reservation) -> None:
    async with customers.transaction() as transaction:
        await transaction.insert_reservations([reservation])


async def test_a_second_decision_waits_for_the_first_and_is_refused_if_it_is_committed(customers: Any) -> None:
    async with customers.transaction() as transaction:
        await transaction.insert_reservations([RESERVATION])
        waiting = asyncio.create_task(_decide(customers, RESERVATION))
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
    with pytest.raises(asyncpg.UniqueViolationError):
        await waiting


async def test_a_second_decision_waits_for_the_first_and_stands_if_it_is_rolled_back(customers: Any) -> None:
    with suppress(Undone):
        async with customers.transaction() as transaction:
            await transaction.insert_reservations([RESERVATION])
            waiting = asyncio.create_task(_decide(customers, RESERVATION))
            await asyncio.wait([waiting], timeout=0.1)
            raise Undone
    await waiting


async def test_after_an_error_the_transaction_is_lost_even_if_the_error_is_swallowed(customers: Any) -> None:
    await _decide(customers, RESERVATION)
    async with customers.transaction() as transaction:
        lost = await transaction.insert_customer("Jane", LIMIT)
        with pytest.raises(asyncpg.UniqueViolationError):
            await transaction.insert_reservations([RESERVATION])
        with pytest.raises(asyncpg.InFailedSQLTransactionError):
            await transaction.append([OutboxRow("customer", "1", "CustomerCreated", b"{}")])
    assert await _find(customers, lost.id) is None


async def test_a_circle_of_waiting_transactions_is_broken(customers: Any) -> None:
    first, second = await _create(customers), await _create(customers)

    async def lock(one: Customer, other: Customer, barrier: asyncio.Barrier) -> None:
        async with customers.transaction() as transaction:
            await transaction.lock_customers([one.id])
            await barrier.wait()
            await transaction.lock_customers([other.id])

    barrier = asyncio.Barrier(2)
    ends = await asyncio.gather(lock(first, second, barrier), lock(second, first, barrier), return_exceptions=True)
    assert [type(end) for end in ends if end is not None] == [asyncpg.DeadlockDetectedError]


async def test_a_release_changes_only_what_is_reserved(customers: Any) -> None:
    refused = Reservation(2, 1, 400, ReservationState.LIMIT_EXCEEDED)
    async with customers.transaction() as transaction:
        await transaction.insert_reservations([RESERVATION, refused])
        await transaction.release_reservations([1, 2])
        found = await transaction.find_reservations([1, 2])
    assert [found[1].state, found[2].state] == [ReservationState.RELEASED, ReservationState.LIMIT_EXCEEDED]


async def test_a_second_request_with_a_key_waits_and_gets_the_first_answer(customers: Any) -> None:
    async def ask() -> Any:
        async with customers.transaction() as transaction:
            return await transaction.claim("key", REQUEST)

    async with customers.transaction() as transaction:
        assert await transaction.claim("key", REQUEST) is None
        waiting = asyncio.create_task(ask())
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
        await transaction.keep("key", 7)
    assert await waiting == 7


async def test_a_key_is_not_good_for_another_body(customers: Any) -> None:
    async with customers.transaction() as transaction:
        await transaction.claim("key", REQUEST)
        await transaction.keep("key", 7)
    with pytest.raises(Problem):
        async with customers.transaction() as transaction:
            await transaction.claim("key", ANOTHER_REQUEST)


async def test_overdue_orders_are_the_pending_ones_that_nobody_else_has_locked(orders: Any) -> None:
    async with orders.transaction() as transaction:
        first, second, third = await transaction.insert_orders([(1, 400)] * 3)
    async with orders.transaction() as transaction:
        locked = await transaction.lock_orders([first.id])
        assert locked == {first.id: first}
        async with orders.transaction() as another:
            assert await another.lock_overdue_orders(timedelta(hours=1), 10) == []
            overdue = await another.lock_overdue_orders(timedelta(), 10)
    assert sorted(order.id for order in overdue) == [second.id, third.id]
    assert {order.state for order in overdue} == {OrderState.PENDING}
