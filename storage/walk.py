"""A walk over a table in batches, in the order of its ids."""

from collections.abc import Awaitable, Callable, Sequence

BELOW_EVERY_ID = -(2**63)
"""Where a walk begins. No row has this id: it is the smallest bigint, and ids are counted from 1."""


async def in_batches(handle_next: Callable[[int], Awaitable[Sequence[int]]]) -> int:
    """Calls `handle_next` until it finds no more rows; returns how many rows it handled.

    Args:
        handle_next: handles the next batch of rows, those with the lowest ids above the given one, in a transaction of
            its own. Returns their ids in ascending order; none at the end of the table. A batch may be short.
    """
    total, last_id = 0, BELOW_EVERY_ID
    while ids := await handle_next(last_id):
        total, last_id = total + len(ids), ids[-1]
    return total
