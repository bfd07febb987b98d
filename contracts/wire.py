"""The JSON payload of an event.

It is written with camelCase keys and money as `{"amount": 4}`. It is read with strict types. Readers ignore unknown
fields, so a producer can add a field without a change of its readers.
"""

from typing import Annotated, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

INT64_MAX = 2**63 - 1

Id = Annotated[int, Field(ge=-(2**63), le=INT64_MAX)]
"""An aggregate's id: a PostgreSQL bigint."""

Version = Annotated[int, Field(ge=0, le=INT64_MAX)]
"""1, 2, 3 ... for each aggregate; 0 in an event about an aggregate that does not exist."""


class UnreadablePayload(ValueError):
    """The payload does not match its event type."""


class Event(BaseModel):
    """Base of all events. The wire name of a class is in a registry (contracts/registry.py)."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)

    def to_json(self) -> bytes:
        """The payload, as the outbox stores it."""
        return orjson.dumps(self.model_dump(by_alias=True, exclude_none=True))

    @classmethod
    def from_json(cls, payload: bytes) -> Self:
        """Reads a payload.

        Raises:
            UnreadablePayload: it is not JSON, or a field is missing or of the wrong type.
        """
        try:
            return cls.model_validate(orjson.loads(payload))
        except orjson.JSONDecodeError as error:
            raise UnreadablePayload(f"{cls.__name__} is not JSON: {error}") from error
        except ValidationError as error:
            raise UnreadablePayload(_summary(cls.__name__, error)) from error


def _summary(name: str, error: ValidationError) -> str:
    faults = (f"{'.'.join(map(str, e['loc'])) or 'payload'}: {e['msg']}" for e in error.errors())
    return f"{name} has {'; '.join(faults)}"
