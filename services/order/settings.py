"""The order service's settings."""

from datetime import timedelta

from pydantic import Field, SecretStr

from messaging.consumer import RetryPolicy
from storage.retention import DatabaseSettings


class Settings(DatabaseSettings):
    """One environment variable for each field, in capitals."""

    nats_url: str
    nats_token: SecretStr
    order_deadline_seconds: int = Field(default=15 * 60, ge=1)
    attempts_unseen: int = Field(default=RetryPolicy().attempts_unseen, ge=1)
    """Attempts for a decision about an order that is not visible; the delays are those of the RetryPolicy."""

    @property
    def order_deadline(self) -> timedelta:
        return timedelta(seconds=self.order_deadline_seconds)
