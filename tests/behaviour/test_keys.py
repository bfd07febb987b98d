"""What a request with an idempotency key relies on."""

import asyncio
from contextlib import suppress

from services.customer.ports import CustomerRepository
from storage.idempotency import StoredAnswer

FINGERPRINT, ANOTHER_FINGERPRINT = b"one body", b"another body"


class Undone(Exception):
    """Rolls a transaction back."""


async def _claim(customers: CustomerRepository, fingerprint: bytes = FINGERPRINT) -> tuple[bool, StoredAnswer | None]:
    """Whether the key could be claimed, and the answer that is stored then."""
    async with customers.transaction() as transaction:
        if await transaction.claim("key", fingerprint):
            await transaction.store("key", 8)
        else:
            return False, (await transaction.stored_answers(["key"])).get("key")
    return True, None


async def test_a_second_claim_of_a_key_waits_for_the_first_and_finds_its_answer(customers: CustomerRepository) -> None:
    async with customers.transaction() as transaction:
        assert await transaction.claim("key", FINGERPRINT)
        waiting = asyncio.create_task(_claim(customers))
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
        await transaction.store("key", 7)
    assert await waiting == (False, StoredAnswer(FINGERPRINT, 7))


async def test_a_second_claim_of_a_key_succeeds_if_the_first_is_rolled_back(customers: CustomerRepository) -> None:
    with suppress(Undone):
        async with customers.transaction() as transaction:
            await transaction.claim("key", FINGERPRINT)
            waiting = asyncio.create_task(_claim(customers))
            await asyncio.wait([waiting], timeout=0.1)
            assert not waiting.done()
            raise Undone
    assert await waiting == (True, None)


async def test_a_claim_with_another_body_leaves_the_first_fingerprint_and_answer(customers: CustomerRepository) -> None:
    assert await _claim(customers) == (True, None)
    assert await _claim(customers, ANOTHER_FINGERPRINT) == (False, StoredAnswer(FINGERPRINT, 8))
    assert await _claim(customers) == (False, StoredAnswer(FINGERPRINT, 8))


async def test_a_transaction_that_finds_a_key_used_does_not_hold_it(customers: CustomerRepository) -> None:
    await _claim(customers)
    async with customers.transaction() as transaction:
        assert not await transaction.claim("key", FINGERPRINT)
        assert await _claim(customers) == (False, StoredAnswer(FINGERPRINT, 8))


async def test_stored_answers_leave_out_keys_that_nobody_has_claimed(customers: CustomerRepository) -> None:
    await _claim(customers)
    async with customers.transaction() as transaction:
        assert await transaction.stored_answers(["unknown", "key"]) == {"key": StoredAnswer(FINGERPRINT, 8)}
        assert await transaction.stored_answers([]) == {}
