"""What has to be true after, and during, a run; each failure names the missing and the extra ids."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

import asyncpg

from infra.provision.settings import Settings
from operations.audit import audit
from operations.snapshot import Snapshot
from operations.sources import Sources, open_sources
from tests.chaos.ledger import Ledger

OVER_LIMIT = "SELECT id FROM customers WHERE reserved_cents NOT BETWEEN 0 AND credit_limit_cents"
PENDING = "SELECT count(*) FROM orders WHERE state = 'PENDING'"
LOOK_SECONDS = 0.5
SETTLE_SECONDS = 180.0
SHOWN = 20


@dataclass
class LimitWatch:
    """Looks into the customers' database during the run, whenever that answers."""

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


async def verdict(settings: Settings, ledger: Ledger) -> list[str]:
    """Waits until nothing is under way, and returns every violation in words; none is the hoped-for answer."""
    async with open_sources(settings) as sources:
        snapshot, violations = await _settled(sources)
    return violations + lost_or_invented(ledger, snapshot)


async def _settled(sources: Sources) -> tuple[Snapshot, list[str]]:
    """The system at rest and nothing; or, when it does not come to rest, as it is then and what is wrong with it."""
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


def lost_or_invented(ledger: Ledger, snapshot: Snapshot) -> list[str]:
    """Each acknowledged request is one order with what it asked for, and there is no other order."""
    violations: list[str] = []
    acknowledged = {request.order_id: request for request in ledger.acknowledged()}
    twice = [i for i, times in Counter(r.order_id for r in ledger.acknowledged()).items() if times > 1]
    lost = sorted(i for i in acknowledged if i not in snapshot.orders)
    invented = sorted(snapshot.orders.keys() - acknowledged.keys())
    for what, ids in (("lost", lost), ("invented", invented), ("given to two requests", twice)):
        if ids:
            violations.append(f"{len(ids)} orders {what}: {ids[:SHOWN]}")
    for order_id, request in acknowledged.items():
        order = snapshot.orders.get(order_id or 0)
        if order is None:
            continue
        if (order.customer_id, order.total) != (request.customer_id, request.total * 100):
            violations.append(f"order {order_id} is {order}, the client asked for {request}")
        if request.cancelled and order.state != "CANCELLED":
            violations.append(f"order {order_id} is {order.state}, its client was told CANCELLED")
    return violations
