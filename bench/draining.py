"""A backlog of orders that piled up while their consumers were down, and how long it takes to be worked off."""

import asyncio
from collections.abc import Sequence

from bench import bulk
from bench.cpu import CpuUse, cpu_use
from bench.figures import Section
from bench.isolated import stopped
from bench.rig import Rig, until

WITHIN_SECONDS = 1800.0
LOOK_SECONDS = 0.05


async def measure(rig: Rig, customers: Sequence[int], orders: int, runs: int) -> Section:
    uses = [await drain(rig, customers, orders) for _ in range(runs)]
    section = Section("Draining a backlog")
    section.add(f"{orders:,} orders to APPROVED and into the view", "s", *(use.at for use in uses))
    section.add("which is", "orders/s", *(orders / use.at for use in uses))
    section.add_lines("ms/order", [use.milliseconds_per(orders) for use in uses], "CPU of ")
    section.notes.append(
        "The customer and history services are down while the orders are placed, by SQL with their events; the time "
        "counts from the first that is consumed when they are up again, until no order is PENDING and all is in the "
        "view."
    )
    return section


async def drain(rig: Rig, customers: Sequence[int], orders: int) -> CpuUse:
    """The time and the CPU that it takes."""
    await rig.quiet()
    end = await rig.stream_end() + orders

    async def is_piled_up() -> bool:
        return await rig.stream_end() >= end

    async def has_begun() -> bool:
        return (await rig.backlog())["customer"] < orders

    async with stopped(rig, "customer", "history"):
        await bulk.place(rig, customers, orders)
        await until(is_piled_up, WITHIN_SECONDS, LOOK_SECONDS)
        for service in ("customer", "history"):
            await asyncio.to_thread(rig.stack.start, service)
        await until(has_begun, WITHIN_SECONDS, LOOK_SECONDS)
        began = cpu_use(rig.stack)
        await rig.quiet(WITHIN_SECONDS)
        return cpu_use(rig.stack).since(began)
