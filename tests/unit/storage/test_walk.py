"""The walk over a table in batches, without a table."""

from storage.walk import BELOW_EVERY_ID, in_batches


async def test_a_walk_over_an_empty_table_asks_once_and_handles_nothing() -> None:
    asked: list[int] = []

    async def handle_next(last_id: int) -> list[int]:
        asked.append(last_id)
        return []

    assert await in_batches(handle_next) == 0
    assert asked == [BELOW_EVERY_ID]


async def test_each_batch_begins_above_the_last_id_of_the_one_before() -> None:
    batches = {BELOW_EVERY_ID: [-7, -3], -3: [0, 4], 4: [2**63 - 1]}
    assert await in_batches(lambda last_id: _answer(batches.get(last_id, []))) == 5


async def test_a_batch_that_is_short_does_not_end_the_walk() -> None:
    # Rows that another transaction deletes while this one waits for their locks are missing in the batch.
    batches = {BELOW_EVERY_ID: [1, 2, 3], 3: [5], 5: [6, 7, 8]}
    assert await in_batches(lambda last_id: _answer(batches.get(last_id, []))) == 7


async def _answer(ids: list[int]) -> list[int]:
    return ids
