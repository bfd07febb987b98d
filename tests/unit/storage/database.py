"""A database port that needs no PostgreSQL. Implements storage.postgres.Database."""

from datetime import timedelta

MISSING = "the schema is not known yet"


class RecordingDatabase:
    """Writes down which deletions it is asked for.

    Attributes:
        away: the error that every call raises, while the database is away.
        asked: the kind of rows and the retention, for each deletion.
        left: by kind, how many rows each further deletion deletes.
    """

    def __init__(self, *, missing_schema: str | None = None) -> None:
        self.missing_schema = missing_schema
        self.away: Exception | None = None
        self.asked: list[tuple[str, timedelta]] = []
        self.left: dict[str, list[int]] = {}

    async def wait_for_schema(self) -> None:
        self._require_present()
        self.missing_schema = None

    async def ping(self) -> str | None:
        self._require_present()
        return self.missing_schema

    async def delete_expired_events(self, retention: timedelta) -> int:
        return self._delete("events", retention)

    async def delete_expired_keys(self, retention: timedelta) -> int:
        return self._delete("keys", retention)

    def _delete(self, kind: str, retention: timedelta) -> int:
        self._require_present()
        self.asked.append((kind, retention))
        batches = self.left.get(kind)
        return batches.pop(0) if batches else 0

    def _require_present(self) -> None:
        if self.away:
            raise self.away
