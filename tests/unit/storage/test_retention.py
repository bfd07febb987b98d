from datetime import timedelta

import pytest

from storage.retention import DatabaseSettings, retention_chores
from tests.unit.storage.database import RecordingDatabase

SETTINGS = DatabaseSettings(
    http_port=0, database_url="", outbox_retention_seconds=600, idempotency_retention_seconds=60
)


async def test_each_chore_deletes_its_rows_after_its_own_retention() -> None:
    database = RecordingDatabase()
    chores = retention_chores(database, SETTINGS)
    for name in ("outbox", "idempotency keys"):
        await chores[name]()
    assert database.asked == [("events", timedelta(minutes=10)), ("keys", timedelta(minutes=1))]


async def test_a_chore_returns_how_many_rows_its_batch_deleted() -> None:
    database = RecordingDatabase()
    database.left = {"events": [5, 2]}
    chore = retention_chores(database, SETTINGS)["outbox"]
    assert [await chore() for _ in range(3)] == [5, 2, 0]


@pytest.mark.parametrize("name", ["outbox_retention_seconds", "idempotency_retention_seconds"])
def test_a_retention_of_less_than_a_minute_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        DatabaseSettings(http_port=0, database_url="", **{name: 59})
