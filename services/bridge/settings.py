"""The bridge's settings."""

from pydantic import SecretStr

from runtime.settings import ServerSettings


class Settings(ServerSettings):
    """One environment variable for each field, in capitals."""

    kafka_bootstrap_servers: str
    kafka_username: str
    kafka_password: SecretStr
    nats_url: str
    nats_token: SecretStr
    topics: tuple[str, ...] = ("events.customer", "events.order", "events.probe")
