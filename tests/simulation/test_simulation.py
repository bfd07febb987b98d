"""The simulated schedules that every test run takes; `python -m tests.simulation` runs any number of them."""

import os
import random
import subprocess
import sys

import pytest

from tests.simulation.report import describe_failure
from tests.simulation.run import draw_plan, run

FIXED_SEEDS = range(300)
FRESH_RUNS = 300

REPLAYED_SEEDS = "7, 19, 53, 1014, 1021"
"""In the last two, several generations of the view are dropped at once."""
HASH_SEEDS = ("0", "1", "4242")

# If the schedules do not meet these, they prove little.
STRIKES = (
    "acknowledged event delivered to customer again",
    "acknowledged event delivered to history again",
    "acknowledged event delivered to order again",
    "batch refused for a repeat",
    "bridge stopped in good order",
    "customer read from the view",
    "customer stopped in good order",
    "database crashed between commit and its answer",
    "database crashed in a transaction",
    "history stopped in good order",
    "key refused for another body",
    "key used before",
    "killed between commit and its answer",
    "lock waited for in customers",
    "lock waited for in idempotency_keys",
    "lock waited for in orders",
    "message redelivered",
    "order stopped in good order",
    "publish fenced",
    "record under the id of a topic that is gone",
    "repeat left out by JetStream",
    "request given up",
    "request repeated",
    "row of orders looked for before it was visible",
    "row repeated by Debezium",
    "several orders in one transaction",
    "snapshot of the outbox",
    "states republished",
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


def test_a_seed_replays_its_schedule_exactly_in_any_process() -> None:
    traces = {_traces_in_another_process(hash_seed) for hash_seed in HASH_SEEDS}
    assert len(traces) == 1
    assert traces.pop().count("\n") > 500


def _strikes_of(seed: int) -> set[str]:
    result = run(draw_plan(seed))
    if result.violation:
        pytest.fail(describe_failure(seed), pytrace=False)
    return set(result.strikes)


def _traces_in_another_process(hash_seed: str) -> str:
    program = (
        "from tests.simulation.run import draw_plan, run\n"
        f"for seed in ({REPLAYED_SEEDS}):\n"
        "    print(*run(draw_plan(seed), traced=True).trace, sep='\\n')"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout
