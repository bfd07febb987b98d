"""What the order service is told by its environment."""

from datetime import timedelta

from pydantic import Field, SecretStr

from messaging.consumer import RetryPolicy
from web.server import ServerSettings


class Settings(ServerSettings):
    """One environment variable for each field, in capitals."""

    database_url: SecretStr
    nats_url: str
    nats_token: SecretStr
    outbox_retention_seconds: int = Field(default=7 * 24 * 3600, ge=60)
    idempotency_retention_seconds: int = Field(default=24 * 3600, ge=60)

    order_deadline_seconds: int = Field(default=15 * 60, ge=1)
    attempts_unseen: int = Field(default=RetryPolicy().attempts_unseen, ge=1)
    """How often a decision is tried whose order cannot be seen; the delays are those of the RetryPolicy."""

    @property
    def order_deadline(self) -> timedelta:
        return timedelta(seconds=self.order_deadline_seconds)

    @property
    def outbox_retention(self) -> timedelta:
        return timedelta(seconds=self.outbox_retention_seconds)

    @property
    def idempotency_retention(self) -> timedelta:
        return timedelta(seconds=self.idempotency_retention_seconds)
