"""How long outbox rows and idempotency keys are kept: the settings, and the chores that delete older ones."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial

from pydantic import Field, SecretStr

from runtime.housekeeping import Chore
from runtime.settings import ServerSettings
from storage.postgres import Database


class DatabaseSettings(ServerSettings):
    """Settings of every service with a PostgreSQL database."""

    database_url: SecretStr
    outbox_retention_seconds: int = Field(default=7 * 24 * 3600, ge=60)
    idempotency_retention_seconds: int = Field(default=24 * 3600, ge=60)

    @property
    def outbox_retention(self) -> timedelta:
        return timedelta(seconds=self.outbox_retention_seconds)

    @property
    def idempotency_retention(self) -> timedelta:
        return timedelta(seconds=self.idempotency_retention_seconds)


def retention_chores(database: Database, settings: DatabaseSettings) -> Mapping[str, Chore]:
    """Deletes outbox rows and idempotency keys after their retention."""
    return {
        "outbox": partial(database.delete_expired_events, settings.outbox_retention),
        "idempotency keys": partial(database.delete_expired_keys, settings.idempotency_retention),
    }
