"""Draining: how long the system takes for a backlog that grew while the consumers were down."""

import asyncio
from collections.abc import Sequence

from bench import bulk
from bench.cpu import CpuUse, cpu_use
from bench.figures import Section
from bench.isolated import stopped
from bench.rig import Rig, wait_until

TIMEOUT_SECONDS = 1800.0
POLL_SECONDS = 0.05


async def measure(rig: Rig, customers: Sequence[int], orders: int, runs: int) -> Section:
    uses = [await drain(rig, customers, orders) for _ in range(runs)]
    section = Section("Draining a backlog")
    section.add(f"time until {orders:,} orders are APPROVED and in the view", "s", *(use.elapsed for use in uses))
    section.add("rate", "orders/s", *(orders / use.elapsed for use in uses))
    section.add_rows("ms/order", [use.milliseconds_per_item(orders) for use in uses], "CPU of ")
    section.notes.append(
        "The customer and history services are stopped while the orders are placed, by SQL with their events. The "
        "services are then started. The time runs from the first event consumed until no order is PENDING and all "
        "orders are in the view."
    )
    return section


async def drain(rig: Rig, customers: Sequence[int], orders: int) -> CpuUse:
    """Builds a backlog, and returns the duration and the CPU of draining it."""
    await rig.wait_until_drained()
    end = await rig.stream_end() + orders

    async def backlog_is_in_stream() -> bool:
        return await rig.stream_end() >= end

    async def has_begun() -> bool:
        return (await rig.backlog())["customer"] < orders

    async with stopped(rig, "customer", "history"):
        await bulk.insert_pending_orders(rig, customers, orders)
        await wait_until(backlog_is_in_stream, TIMEOUT_SECONDS, POLL_SECONDS)
        for service in ("customer", "history"):
            await asyncio.to_thread(rig.stack.start, service)
        await wait_until(has_begun, TIMEOUT_SECONDS, POLL_SECONDS)
        began = cpu_use(rig.stack)
        await rig.wait_until_drained(TIMEOUT_SECONDS)
        return cpu_use(rig.stack).since(began)
