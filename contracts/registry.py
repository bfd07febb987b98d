"""The event registry: the class of each event type on the wire.

The mapping is explicit, so a class can be renamed without a change on the wire.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Generic, TypeVar

from contracts.wire import Event

E = TypeVar("E", bound=Event)


class UnknownType(LookupError):
    """The event type is not registered."""


class EventRegistry(Generic[E]):
    """Event types by name, for writing and for reading.

    Args:
        types: the wire name of each event type, and the class that is written or read. Several names may share a class
            that is only read.
    """

    def __init__(self, types: Mapping[str, type[E]]) -> None:
        self.types = dict(types)
        names_of = Counter(self.types.values())
        self._names = {event_class: name for name, event_class in self.types.items() if names_of[event_class] == 1}

    def type_of(self, event: E) -> str:
        """The wire name of an event.

        Raises:
            KeyError: the class is not registered, or under several names.
        """
        return self._names[type(event)]

    def read(self, event_type: str, payload: bytes) -> E:
        """The event of a type and its JSON payload.

        Raises:
            UnknownType: the type is not registered.
            UnreadablePayload: the payload does not match its class.
        """
        event_class = self.types.get(event_type)
        if event_class is None:
            raise UnknownType(f"{event_type} is not an event type that this service reads")
        return event_class.from_json(payload)
