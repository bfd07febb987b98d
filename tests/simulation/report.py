"""The report of a failure, and of the faults that struck."""

from collections import Counter

from tests.simulation.plan import Plan
from tests.simulation.run import draw_plan, run
from tests.simulation.shrink import shrink


def describe_failure(seed: int) -> str:
    """The violated invariant, the plan as small as it could be made, and what happened in it, step by step."""
    plan = draw_plan(seed)
    violation = run(plan).violation
    small = shrink(plan)
    result = run(small, traced=True)
    return "\n".join(
        [
            f"seed {seed} violates: {violation}",
            f"replay: python -m tests.simulation --seed {seed}",
            "",
            f"Shrunk from {_size(plan)} to {_size(small)}:",
            str(small),
            "",
            *result.trace,
            "",
            f"VIOLATED: {result.violation}",
        ]
    )


def describe_strikes(strikes: Counter[str]) -> str:
    """How often each kind of fault or coincidence happened, one line each."""
    width = len(str(max(strikes.values(), default=0)))
    return "\n".join(f"  {times:{width}}  {kind}" for kind, times in sorted(strikes.items()))


def _size(plan: Plan) -> str:
    return f"{len(plan.actions)} actions and {len(plan.faults)} faults"
