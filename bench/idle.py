"""Idle: the CPU that the stack uses without requests, and its memory after load."""

import asyncio

from bench.cpu import GENERATOR, cpu_use, memory
from bench.figures import Section
from bench.rig import Rig

PAUSE_BEFORE_SECONDS = 5.0
"""After the last event: the components finish their work on it."""


async def measure(rig: Rig, seconds: float, runs: int) -> Section:
    await rig.wait_until_drained()
    await asyncio.sleep(PAUSE_BEFORE_SECONDS)
    percentages = []
    for _ in range(runs):
        began = cpu_use(rig.stack)
        await asyncio.sleep(seconds)
        run = cpu_use(rig.stack).since(began).percentages()
        percentages.append({name: percent for name, percent in run.items() if name != GENERATOR})
    section = Section("Idle")
    section.add_rows("% of a core", percentages, "CPU of ")
    section.add_rows("MB", [memory(rig.stack)], "memory of ")
    section.notes.append(
        f"CPU over {seconds:.0f} s without a request. Memory (PSS) at the end, after the load of the other parts."
    )
    return section
