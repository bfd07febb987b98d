"""What must hold during and after a run. Each violation names the missing or the extra ids."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import asyncpg

from infra.provision.settings import Settings
from operations.audit import audit
from operations.snapshot import Snapshot
from operations.sources import Sources, open_sources
from tests.chaos.ledger import Ledger, Outcome, Request

OVER_LIMIT = "SELECT id FROM customers WHERE reserved_cents NOT BETWEEN 0 AND credit_limit_cents"
PENDING = "SELECT count(*) FROM orders WHERE state = 'PENDING'"
LOOK_SECONDS = 0.5
SETTLE_SECONDS = 180.0
SHOWN = 20
KEY_USED = 422


@dataclass
class LimitWatch:
    """Looks for customers over their limit during the run, whenever their database answers."""

    url: str
    looks: int = 0
    exceeded: set[int] = field(default_factory=set)

    async def run(self) -> None:
        while True:
            try:
                connection = await asyncpg.connect(self.url, timeout=2)
                try:
                    while True:
                        self.exceeded.update(row["id"] for row in await connection.fetch(OVER_LIMIT, timeout=5))
                        self.looks += 1
                        await asyncio.sleep(LOOK_SECONDS)
                finally:
                    connection.terminate()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(LOOK_SECONDS)


async def find_violations(settings: Settings, ledger: Ledger) -> list[str]:
    """Waits until no message is under way, and returns all violations as text; none is the expected result."""
    async with open_sources(settings) as sources:
        snapshot, violations = await _settled(sources)
    return violations + compare(ledger, snapshot)


async def _settled(sources: Sources) -> tuple[Snapshot, list[str]]:
    """The system at rest and no text; or its last snapshot and what is wrong with it, after SETTLE_SECONDS."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        pending = await sources.orders.fetchval(PENDING)
        backlog = sum((await sources.backlog()).values())
        late = time.monotonic() > deadline
        if late or not (pending or backlog):
            snapshot = await sources.snapshot()
            findings = [str(finding) for finding in audit(snapshot)]
            if not (pending or backlog or findings):
                return snapshot, []
            if late:
                still = f"after {SETTLE_SECONDS} s: {pending} orders PENDING, {backlog} messages not acknowledged"
                return snapshot, [still, *findings]
        await asyncio.sleep(LOOK_SECONDS)


def compare(ledger: Ledger, snapshot: Snapshot) -> list[str]:
    """Compares the orders with the ledger.

    - Each acknowledged request has the order that it was answered with, for the customer and total that it asked for.
    - The requests with one key have one order; the others of them were refused with 422.
    - A request without a key that was not answered has one order or none.
    - There are no other orders.
    """
    return [
        *_lost_or_invented(ledger, snapshot),
        *_shared_orders(ledger),
        *_keys(ledger),
        *_refusals(ledger),
        *_wrong_orders(ledger, snapshot),
    ]


def _acknowledged(ledger: Ledger) -> Iterator[tuple[int, Request]]:
    """Order id and request."""
    for request in ledger.of(Outcome.ACKNOWLEDGED):
        assert request.order_id is not None
        yield request.order_id, request


def _lost_or_invented(ledger: Ledger, snapshot: Snapshot) -> Iterator[str]:
    acknowledged = {order_id for order_id, _ in _acknowledged(ledger)}
    # Each unanswered request without a key explains one order with its customer and total.
    explained = Counter(request.body for request in ledger.of(Outcome.UNKNOWN))
    invented = []
    for order_id in sorted(snapshot.orders.keys() - acknowledged):
        order = snapshot.orders[order_id]
        if explained[order.customer_id, order.total]:
            explained[order.customer_id, order.total] -= 1
        else:
            invented.append(order_id)
    yield from _named("lost", sorted(acknowledged - snapshot.orders.keys()))
    yield from _named("that nobody asked for", invented)


def _shared_orders(ledger: Ledger) -> Iterator[str]:
    """An order belongs to one request, or to the requests with one key."""
    owners: dict[int, set[str | int]] = {}
    for order_id, request in _acknowledged(ledger):
        owners.setdefault(order_id, set()).add(request.key if request.key is not None else id(request))
    yield from _named("given to two requests", sorted(i for i, requests in owners.items() if len(requests) > 1))


def _keys(ledger: Ledger) -> Iterator[str]:
    for key, requests in ledger.keys().items():
        ids = sorted({request.order_id for request in requests if request.order_id is not None})
        if len(ids) > 1:
            yield f"key {key} was answered with orders {ids}"


def _refusals(ledger: Ledger) -> Iterator[str]:
    """A request is refused only if its key belongs to another body."""
    keys = ledger.keys()
    for request in ledger.of(Outcome.REFUSED):
        others = keys.get(request.key or "", [])
        used = any(other.outcome is Outcome.ACKNOWLEDGED and other.body != request.body for other in others)
        if request.status != KEY_USED or not used:
            yield f"refused with {request.status}: {request}"


def _wrong_orders(ledger: Ledger, snapshot: Snapshot) -> Iterator[str]:
    for order_id, request in _acknowledged(ledger):
        order = snapshot.orders.get(order_id)
        if order is None:
            continue
        if (order.customer_id, order.total) != request.body:
            yield f"order {order_id} is {order}, the client asked for {request}"
        if request.cancelled and order.state != "CANCELLED":
            yield f"order {order_id} is {order.state}, its client was told CANCELLED"


def _named(what: str, ids: list[int]) -> Iterator[str]:
    if ids:
        yield f"{len(ids)} orders {what}: {ids[:SHOWN]}"
