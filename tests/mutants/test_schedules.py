"""A quick share of the simulation: the schedules on which `make random-mutants` tries each random bug."""

import pytest

from tests.simulation.report import describe_failure
from tests.simulation.run import draw_plan, run

SEEDS = range(40)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_invariant_holds_in_a_schedule(seed: int) -> None:
    if run(draw_plan(seed)).violation:
        pytest.fail(describe_failure(seed), pytrace=False)
