"""python -m tests.chaos: a long run, on a stack of its own."""

import argparse
import asyncio
import json
import random
import sys
from pathlib import Path

from infra.native import Stack
from tests.chaos.nemesis import everything
from tests.chaos.run import chaos

BUILD = Path(__file__).parents[2] / "build"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--rate", type=float, default=100.0, help="orders each second")
    parser.add_argument("--calm", type=float, default=3.0, help="seconds between a recovery and the next fault")
    parser.add_argument("--seed", type=int, default=None, help="of the random choices of workload and nemesis")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**32)
    stack = Stack.load("chaos")
    stack.reset()
    try:
        stack.up()
        plan = everything(random.Random(seed), options.minutes * 60)
        result = asyncio.run(chaos(stack, plan, options.rate, options.calm, seed, BUILD))
    finally:
        stack.down()
    sys.stdout.write(json.dumps({key: value for key, value in result.items() if key != "each fault"}, indent=2) + "\n")
    sys.stdout.write(f"{BUILD / 'chaos.json'} and {BUILD / 'chaos.png'}; repeat with --seed {seed}\n")
    return 1 if result["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
