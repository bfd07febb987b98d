"""The payload of events: how it is written and read.

Written: camelCase keys, money as `{"amount": 4}`. Read: with strict types. Unknown fields are ignored, so a producer
may add fields.
"""

from typing import Annotated, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

INT64_MAX = 2**63 - 1

Id = Annotated[int, Field(ge=-(2**63), le=INT64_MAX)]
"""An aggregate's id: what a PostgreSQL bigint holds."""

Version = Annotated[int, Field(ge=0, le=INT64_MAX)]
"""1, 2, 3 ... for each aggregate; 0 if the event is about an aggregate that does not exist."""


class UnreadablePayload(ValueError):
    """The payload does not match its event type."""


class Event(BaseModel):
    """Base of all events. Their wire names are in an EventRegistry, not in the class names."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)

    def to_json(self) -> bytes:
        """The payload for the outbox."""
        return orjson.dumps(self.model_dump(by_alias=True, exclude_none=True))

    @classmethod
    def from_json(cls, payload: bytes) -> Self:
        """Reads a payload.

        Raises:
            UnreadablePayload: broken JSON, a missing field or one of the wrong type.
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
