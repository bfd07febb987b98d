"""What the history service is told by its environment."""

from pydantic import SecretStr

from web.server import ServerSettings


class Settings(ServerSettings):
    """One environment variable for each field, in capitals."""

    mongodb_url: SecretStr
    nats_url: str
    nats_token: SecretStr
