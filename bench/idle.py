"""What the stack costs while nobody asks for anything, and its memory after load."""

import asyncio

from bench.cpu import GENERATOR, cpu_use, memory
from bench.figures import Section
from bench.rig import Rig

CALM_DOWN_SECONDS = 5.0


async def measure(rig: Rig, seconds: float, runs: int) -> Section:
    await rig.quiet()
    await asyncio.sleep(CALM_DOWN_SECONDS)
    shares = []
    for _ in range(runs):
        began = cpu_use(rig.stack)
        await asyncio.sleep(seconds)
        use = cpu_use(rig.stack).since(began)
        shares.append({name: share for name, share in use.shares().items() if name != GENERATOR})
    section = Section("Idle")
    section.add_lines("% of a core", shares, "CPU of ")
    section.add_lines("MB", [memory(rig.stack)], "memory of ")
    section.notes.append(
        f"CPU over {seconds:.0f} s without a request; memory as PSS, after the load of the other parts."
    )
    return section
