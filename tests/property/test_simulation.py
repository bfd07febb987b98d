"""The share of the simulated schedules that every test run takes; `python -m tests.simulation` runs any number."""

import os
import random
import subprocess
import sys

import pytest

from tests.simulation.report import describe_failure
from tests.simulation.run import draw_plan, run

FIXED_SEEDS = range(300)
FRESH_RUNS = 300
HASHES = ("0", "1", "4242")

# What the schedules must have met, or they prove little.
STRIKES = (
    "batch refused for a repeat",
    "database crashed between commit and its answer",
    "database crashed in a transaction",
    "event came before its row was visible",
    "killed between commit and its answer",
    "lock waited for",
    "message redelivered",
    "publish fenced",
    "record under the id of a topic that is gone",
    "repeat left out by JetStream",
    "repeat reached the handler of customer",
    "repeat reached the handler of history",
    "repeat reached the handler of order",
    "request repeated",
    "row repeated by Debezium",
    "snapshot of the outbox",
    "tail of the stream lost",
    "view swapped in beside a live one",
)


def test_every_invariant_holds_in_the_schedules_of_fixed_seeds_and_the_faults_strike() -> None:
    strikes = {kind for seed in FIXED_SEEDS for kind in _strikes_of(seed)}
    assert not set(STRIKES) - strikes


def test_every_invariant_holds_in_the_schedules_of_fresh_seeds() -> None:
    first = random.SystemRandom().randrange(10**9)
    for seed in range(first, first + FRESH_RUNS):
        _strikes_of(seed)


@pytest.mark.parametrize("seed", [7, 19, 53])
def test_a_seed_replays_its_schedule_exactly_in_any_process(seed: int) -> None:
    traces = {_trace_in_another_process(seed, hashes) for hashes in HASHES}
    assert len(traces) == 1
    assert traces.pop().count("\n") > 50


def _strikes_of(seed: int) -> set[str]:
    result = run(draw_plan(seed))
    if result.violation:
        pytest.fail(describe_failure(seed), pytrace=False)
    return set(result.strikes)


def _trace_in_another_process(seed: int, hashes: str) -> str:
    program = f"from tests.simulation.run import *; print(*run(draw_plan({seed}), traced=True).trace, sep='\\n')"
    environment = {**os.environ, "PYTHONHASHSEED": hashes}
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout
