"""The history service's settings."""

from pydantic import Field, SecretStr

from runtime.settings import ServerSettings
from services.history.watch import GRACE_SECONDS


class Settings(ServerSettings):
    """One environment variable for each field, in capitals."""

    mongodb_url: SecretStr
    nats_url: str
    nats_token: SecretStr
    view_grace_seconds: float = Field(default=GRACE_SECONDS, ge=0)
    """How long a generation of the view is kept after it was swapped out."""
