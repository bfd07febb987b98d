"""What the history service needs from outside. The real ports and the simulated ones keep to these protocols."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from messaging.connection import Stream
from services.history.generations import Generations
from services.history.projection import Changes

Document = Mapping[str, Any]
"""A customer: _id, name, creditLimit, version. An order: _id, customerId, total, state, reason, version. In cents."""


class Generation(Protocol):
    """One generation of the view, as its consumer fills it."""

    async def prepare(self) -> None:
        """Creates what it needs before it is filled."""

    async def apply(self, changes: Changes) -> None:
        """Writes the newest states. A state that is not newer than the stored one changes nothing."""

    async def drop(self) -> None:
        """Deletes it with all its documents."""


class Views(Protocol):
    """All generations of the view. Each method raises ViewUnavailable or the driver's error while MongoDB is away."""

    async def ping(self) -> str | None:
        """A health check: raises the reason why MongoDB does not answer."""

    def generation(self, name: str) -> Generation: ...

    async def look(self) -> Generations:
        """Which generations count at present; none in a database that is new or was wiped."""

    async def begin(self) -> str | None:
        """Names a new generation to be built, and returns its name; None while another one is being built."""

    async def swap(self, name: str) -> bool:
        """Makes the generation that is being built the live one; False if it is not being built any more."""

    async def stored(self) -> set[str]:
        """The generations that have collections, whether they count or not."""

    async def find_customer(self, customer_id: int) -> tuple[Document, Sequence[Document]] | None:
        """The customer and its newest orders, highest id first; None if there is no such customer."""

    async def list_orders(self, customer_id: int, below: int | None, limit: int) -> Sequence[Document] | None:
        """A customer's orders, highest id first, those with an id less than `below` if given; None as above."""

    async def count_customers(self) -> int: ...

    async def find_order(self, order_id: int) -> Document | None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside of the process that the service uses. Time is the event loop's."""

    views: Views
    stream: Stream
