"""Makes a failing plan smaller: leaves out actions and faults as long as it still fails."""

from collections.abc import Iterator
from dataclasses import replace

from tests.simulation.plan import Plan
from tests.simulation.run import run

MOST_RUNS = 600


def shrink(plan: Plan) -> Plan:
    """The smallest plan found that still violates an invariant, with the same seed for all other chance."""
    runs = MOST_RUNS
    shrunk = True
    while shrunk and runs > 0:
        shrunk = False
        for smaller in _smaller(plan):
            runs -= 1
            if runs < 0:
                break
            if run(smaller).violation:
                plan, shrunk = smaller, True
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Leaves out large parts first, then small ones; then instances and partitions."""
    for size in _halves(max(len(plan.faults), len(plan.actions))):
        for start in range(0, len(plan.faults), size):
            yield replace(plan, faults=plan.faults[:start] + plan.faults[start + size :])
        for start in range(0, len(plan.actions), size):
            yield replace(plan, actions=plan.actions[:start] + plan.actions[start + size :])
    if plan.instances > 1:
        yield replace(plan, instances=1)
    if plan.partitions > 1:
        yield replace(plan, partitions=1)


def _halves(size: int) -> Iterator[int]:
    while size >= 1:
        yield size
        size //= 2
