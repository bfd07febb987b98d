"""What the handlers rely on when two transactions run at the same time."""

import asyncio
from contextlib import suppress

import asyncpg
import pytest

from services.customer.domain import Customer, Reservation, ReservationState
from services.customer.ports import CustomerRepository
from storage.outbox import OutboxRow

LIMIT = 1_000
RESERVATION = Reservation(1, 1, 400, ReservationState.RESERVED)


class Undone(Exception):
    """Rolls a transaction back."""


async def _create(customers: CustomerRepository) -> Customer:
    async with customers.transaction() as transaction:
        return await transaction.insert_customer("Jane", LIMIT)


async def _find(customers: CustomerRepository, customer_id: int) -> Customer | None:
    async with customers.transaction() as transaction:
        found = await transaction.lock_customers([customer_id])
    return found.get(customer_id)


async def test_a_commit_is_visible_once_it_is_answered(customers: CustomerRepository) -> None:
    customer = await _create(customers)
    assert await _find(customers, customer.id) == customer


async def test_a_row_that_was_rolled_back_is_not_there_and_its_id_is_not_given_again(
    customers: CustomerRepository,
) -> None:
    with suppress(Undone):
        async with customers.transaction() as transaction:
            lost = await transaction.insert_customer("Jane", LIMIT)
            raise Undone
    assert await _find(customers, lost.id) is None
    assert (await _create(customers)).id == lost.id + 1


async def test_a_row_is_visible_to_its_own_transaction_only_before_the_commit(customers: CustomerRepository) -> None:
    async with customers.transaction() as transaction:
        customer = await transaction.insert_customer("Jane", LIMIT)
        assert await transaction.lock_customers([customer.id]) == {customer.id: customer}
        assert await _find(customers, customer.id) is None


async def test_a_lock_waits_for_the_other_transaction_and_then_sees_what_it_wrote(
    customers: CustomerRepository,
) -> None:
    customer = await _create(customers)
    charged = Customer(customer.id, customer.name, LIMIT, 400, 2)
    async with customers.transaction() as transaction:
        await transaction.lock_customers([customer.id])
        waiting = asyncio.create_task(_find(customers, customer.id))
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
        await transaction.store_customers([charged])
    assert await waiting == charged


async def test_a_lock_is_released_by_a_rollback(customers: CustomerRepository) -> None:
    customer = await _create(customers)
    with suppress(Undone):
        async with customers.transaction() as transaction:
            await transaction.lock_customers([customer.id])
            await transaction.store_customers([Customer(customer.id, customer.name, LIMIT, 400, 2)])
            raise Undone
    assert await _find(customers, customer.id) == customer


async def test_customers_are_read_and_listed_as_last_committed(customers: CustomerRepository) -> None:
    first, second, third = [await _create(customers) for _ in range(3)]
    async with customers.transaction() as transaction:
        await transaction.store_customers([Customer(first.id, first.name, LIMIT, 400, 2)])
        assert await customers.find_customer(first.id) == first
    assert await customers.find_customer(first.id) == Customer(first.id, first.name, LIMIT, 400, 2)
    assert await customers.find_customer(third.id + 1) is None
    assert await customers.list_customers(first.id, 1) == [second]


async def test_the_next_customers_are_locked_in_the_order_of_their_ids(customers: CustomerRepository) -> None:
    first, second, third = [await _create(customers) for _ in range(3)]
    async with customers.transaction() as transaction:
        assert await transaction.lock_next_customers(0, 2) == [first, second]
        assert await transaction.lock_next_customers(second.id, 2) == [third]
        waiting = asyncio.create_task(_find(customers, first.id))
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
    assert await waiting == first


async def test_statements_see_what_was_committed_before_each_of_them(customers: CustomerRepository) -> None:
    async with customers.transaction() as transaction:
        assert await transaction.find_reservations([1]) == {}
        await _decide(customers, RESERVATION)
        assert await transaction.find_reservations([1]) == {1: RESERVATION}


async def _decide(customers: CustomerRepository, reservation: Reservation) -> None:
    async with customers.transaction() as transaction:
        await transaction.insert_reservations([reservation])


async def test_a_second_decision_waits_for_the_first_and_fails_if_the_first_is_committed(
    customers: CustomerRepository,
) -> None:
    async with customers.transaction() as transaction:
        await transaction.insert_reservations([RESERVATION])
        waiting = asyncio.create_task(_decide(customers, RESERVATION))
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
    with pytest.raises(asyncpg.UniqueViolationError):
        await waiting


async def test_a_second_decision_waits_for_the_first_and_is_stored_if_the_first_is_rolled_back(
    customers: CustomerRepository,
) -> None:
    with suppress(Undone):
        async with customers.transaction() as transaction:
            await transaction.insert_reservations([RESERVATION])
            waiting = asyncio.create_task(_decide(customers, RESERVATION))
            await asyncio.wait([waiting], timeout=0.1)
            raise Undone
    await waiting


async def test_a_transaction_is_rolled_back_after_an_error_of_a_statement_even_if_the_error_is_caught(
    customers: CustomerRepository,
) -> None:
    await _decide(customers, RESERVATION)
    async with customers.transaction() as transaction:
        lost = await transaction.insert_customer("Jane", LIMIT)
        with pytest.raises(asyncpg.UniqueViolationError):
            await transaction.insert_reservations([RESERVATION])
        with pytest.raises(asyncpg.InFailedSQLTransactionError):
            await transaction.append([OutboxRow("customer", "1", "CustomerCreated", b"{}")])
    assert await _find(customers, lost.id) is None


async def test_a_deadlock_is_ended_by_failing_one_of_the_transactions(customers: CustomerRepository) -> None:
    first, second = await _create(customers), await _create(customers)

    async def lock(one: Customer, other: Customer, barrier: asyncio.Barrier) -> None:
        async with customers.transaction() as transaction:
            await transaction.lock_customers([one.id])
            await barrier.wait()
            await transaction.lock_customers([other.id])

    barrier = asyncio.Barrier(2)
    ends = await asyncio.gather(lock(first, second, barrier), lock(second, first, barrier), return_exceptions=True)
    assert [type(end) for end in ends if end is not None] == [asyncpg.DeadlockDetectedError]


async def test_a_release_changes_reserved_decisions_only(customers: CustomerRepository) -> None:
    refused = Reservation(2, 1, 400, ReservationState.LIMIT_EXCEEDED)
    async with customers.transaction() as transaction:
        await transaction.insert_reservations([RESERVATION, refused])
        await transaction.release_reservations([1, 2])
        found = await transaction.find_reservations([1, 2])
    assert [found[1].state, found[2].state] == [ReservationState.RELEASED, ReservationState.LIMIT_EXCEEDED]
