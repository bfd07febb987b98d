"""The customer service's settings."""

from pydantic import SecretStr

from storage.retention import DatabaseSettings


class Settings(DatabaseSettings):
    """One environment variable for each field, in capitals."""

    nats_url: str
    nats_token: SecretStr
