"""The short form of `make chaos`: every component is killed or paused once, under load."""

import asyncio
import random
from pathlib import Path

from infra.native import Stack
from tests.chaos.nemesis import COMPONENTS, every_component_once
from tests.chaos.run import chaos


def test_no_order_is_lost_or_pending_and_no_limit_exceeded_after_every_component_was_killed_or_paused(
    chaos_stack: Stack, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    plan = every_component_once(random.Random(seed))
    result = asyncio.run(chaos(chaos_stack, plan, rate=100, calm=1, seed=seed, folder=tmp_path))
    assert result["violations"] == [], f"seed {seed}: {result}"
    assert result["faults that struck"] == len(COMPONENTS)
    assert result["looks at the limits"] > 0
