"""Which errors of MongoDB pass by themselves."""

from typing import Any

import pytest
from pymongo.errors import BulkWriteError

from services.history.views import Generation, ViewUnavailable

INSERTED_BY_ANOTHER, INVALID = 11000, 121


async def _error_of_a_write(*codes: int) -> type[BaseException] | None:
    class Collection:
        async def bulk_write(self, _updates: object, *, ordered: bool) -> None:  # noqa: ARG002
            raise BulkWriteError({"writeErrors": [{"code": code} for code in codes]})

        async def drop(self) -> None:
            await self.bulk_write([], ordered=False)

    database: Any = {"customers_a": Collection(), "orders_a": Collection()}
    try:
        await Generation(database, "a").drop()
    except Exception as error:  # noqa: BLE001 - its type is the result
        return type(error)
    return None


@pytest.mark.parametrize("codes", [(INSERTED_BY_ANOTHER,), (INSERTED_BY_ANOTHER, INSERTED_BY_ANOTHER), ()])
async def test_a_batch_whose_writes_all_failed_by_an_outage_is_retried(codes: tuple[int, ...]) -> None:
    assert await _error_of_a_write(*codes) is ViewUnavailable


async def test_a_batch_with_a_write_that_never_succeeds_is_not_retried_without_end() -> None:
    assert await _error_of_a_write(INSERTED_BY_ANOTHER, INVALID) is BulkWriteError
