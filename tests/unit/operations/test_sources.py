"""What the audit reads, and how."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from infra.provision.kafka import EVENTS_PREFIX, declared_topics
from operations.sources import TOPICS, Sources


def test_every_event_topic_is_read() -> None:
    assert set(TOPICS) == {topic.name for topic in declared_topics() if topic.name.startswith(EVENTS_PREFIX)}


class FakePool:
    """A pool of empty tables; writes down the options of each transaction."""

    def __init__(self) -> None:
        self.transactions: list[dict[str, Any]] = []

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["FakePool"]:
        yield self

    @asynccontextmanager
    async def transaction(self, **options: Any) -> AsyncIterator[None]:
        self.transactions.append(options)
        yield

    async def fetch(self, _query: str) -> list[tuple[object, ...]]:
        return []


async def test_the_tables_of_a_database_are_read_as_they_were_at_one_moment() -> None:
    customers: Any = FakePool()
    orders: Any = FakePool()
    nothing: Any = None
    sources = Sources(customers, orders, kafka=nothing, nats=nothing, views=nothing)
    await sources._customer_database()
    await sources._order_database()
    for pool in (customers, orders):
        assert pool.transactions == [{"isolation": "repeatable_read", "readonly": True}]
