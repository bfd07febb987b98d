"""What the tests of this folder get of a part, whether it is real or simulated."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from nats.aio.client import Client

from services.bridge.ports import Records
from services.history import ports
from services.history.ports import Document


@dataclass(frozen=True)
class Nats:
    """A server of the test's own: connects a client, and crashes and starts again."""

    connect: Callable[[], Awaitable[Client]]
    restart: Callable[[], None]


class Generation(ports.Generation, Protocol):
    """A generation of the view that can be read, live or not."""

    async def find_customer(self, customer_id: int) -> tuple[Document, list[Any]] | None: ...

    async def find_order(self, order_id: int) -> Document | None: ...


@dataclass(frozen=True)
class View:
    """The view, a generation of it by name, and how to wipe it."""

    views: ports.Views
    generation: Callable[[str], Generation]
    wipe: Callable[[], None]


@dataclass(frozen=True)
class Topic:
    """A topic of two partitions and its reader; `write` takes a partition and an event id."""

    name: str
    records: Records
    write: Callable[[int, str], None]
    recreate: Callable[[], None]
