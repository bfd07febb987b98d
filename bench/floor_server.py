"""python -m bench.floor_server: the order service without a database.

It is put together by the service's own `assemble`, over ports that store nothing. So POST /orders runs all of the
service's Python code but the driver's: HTTP, validation, group commit, the domain and the event's JSON.
"""

# ruff: noqa: ARG002 - the ports' signatures, and nothing is stored

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from nats.aio.client import Client

from runtime.serve import serve
from services.order.domain import Order, OrderState
from services.order.ports import NewOrder, Ports
from services.order.service import assemble
from services.order.settings import Settings
from storage.idempotency import StoredAnswer
from storage.outbox import OutboxRow
from web.application import http_app

UNUSED_SETTINGS = {"DATABASE_URL": "none", "NATS_URL": "none", "NATS_TOKEN": "none"}
"""The service requires these settings. Nothing connects here, so their values do not matter."""


class DatabaseWithoutTables:
    """A database that is always well. Implements storage.postgres.Database."""

    missing_schema: str | None = None

    async def wait_for_schema(self) -> None:
        return

    async def ping(self) -> str | None:
        return None

    async def delete_expired_events(self, retention: timedelta) -> int:
        return 0

    async def delete_expired_keys(self, retention: timedelta) -> int:
        return 0


class EmptyRepository:
    """Accepts every order and event, and stores none. Implements services.order.ports.OrderRepository and Transaction.

    Every key is accepted as a fresh one.
    """

    def __init__(self) -> None:
        self._ids = itertools.count(1)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["EmptyRepository"]:
        yield self

    async def insert_orders(self, orders: Sequence[NewOrder]) -> list[int | None]:
        return [next(self._ids) for _ in orders]

    async def append(self, rows: Sequence[OutboxRow]) -> None:
        return

    async def stored_answers(self, keys: Collection[str]) -> dict[str, StoredAnswer]:
        return {}

    async def find_order(self, order_id: int) -> Order | None:
        return None

    async def list_orders(
        self,
        after: int,
        limit: int,
        customer_id: int | None,
        state: OrderState | None,
    ) -> list[Order]:
        return []

    async def lock_orders(self, ids: Collection[int]) -> dict[int, Order]:
        return {}

    async def lock_overdue_orders(self, deadline: timedelta, limit: int) -> list[Order]:
        return []

    async def lock_next_orders(self, after: int, limit: int) -> list[Order]:
        return []

    async def store_orders(self, orders: Collection[Order]) -> None:
        return


class StreamThatNeverConnects:
    """Implements messaging.connection.Stream. `http_app` runs no workers, so nothing asks for the client."""

    async def client(self) -> Client:
        never: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        return await never


def main() -> None:
    settings = Settings.read(os.environ | UNUSED_SETTINGS)
    ports = Ports(DatabaseWithoutTables(), EmptyRepository(), StreamThatNeverConnects())
    serve(http_app(assemble(ports, settings)), settings)


if __name__ == "__main__":
    main()
