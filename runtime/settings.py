"""Settings: read from the environment once at start, then frozen."""

import os
import sys
from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError


class Settings(BaseModel):
    """One environment variable for each field, in capitals. An empty one counts as missing."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Reads the variables; a missing or wrong one ends the process (exit code 2) with its name.

        The message never shows a value: it may be a password.
        """
        # An empty address would stand for the driver's default: another database, or none of ours.
        given = {name: value for name in cls.model_fields if (value := environment.get(name.upper()))}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            for fault in error.errors(include_input=False):
                name = str(fault["loc"][0]).upper()
                print(f"setting {name}: {fault['msg'].lower()} (an environment variable)", file=sys.stderr)  # noqa: T201
            sys.exit(2)


class ServerSettings(Settings):
    """Settings of every process that listens for HTTP requests."""

    http_host: str = "127.0.0.1"
    http_port: int
    log_level: str = "INFO"
