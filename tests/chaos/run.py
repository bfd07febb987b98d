"""One run: workload, nemesis and checker together."""

import asyncio
import random
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from infra.native import Stack
from infra.provision import probe
from infra.provision.settings import Settings
from tests.chaos import report
from tests.chaos.checker import LimitWatch, find_violations
from tests.chaos.nemesis import Nemesis, Strike
from tests.chaos.workload import Workload

FLOW_SECONDS = 60.0


async def chaos(
    stack: Stack, plan: Iterable[Strike], rate: float, calm: float, seed: int, folder: Path
) -> dict[str, Any]:
    """Places orders until all faults of the plan were injected; returns the report with all violations."""
    chance = random.Random(seed)
    settings = Settings.read(stack.environment("keeper"))
    workload = Workload(stack.ports, rate, chance)
    await workload.create_customers()
    watch = LimitWatch(settings.customer_database_url.get_secret_value())
    watching = asyncio.create_task(watch.run())
    began = time.monotonic()
    nemesis = Nemesis(stack, random.Random(seed), began, lambda: _flows(settings))
    placing = asyncio.create_task(workload.run())
    await nemesis.run(plan, calm)
    workload.stop()
    await placing
    lasted = time.monotonic() - began
    await workload.finish()
    violations = await find_violations(settings, workload.ledger)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await workload.close()
    violations += [f"customer {i} was over the limit during the run" for i in sorted(watch.exceeded)]
    violations += [f"the fault did not strike: {fault}" for fault in nemesis.faults if not fault.struck]
    result = report.summary(workload.ledger, nemesis.faults, watch.looks, lasted, seed, violations)
    report.write(folder, result, workload.ledger, nemesis.faults, began)
    return result


def _flows(settings: Settings) -> None:
    asyncio.run(probe.measure(settings, FLOW_SECONDS))
