"""python -m tests.simulation --seed N [--runs N] [--jobs N]

Runs the schedules of seeds N, N+1, ...; without a seed, of fresh ones. Stops at the first that violates
an invariant, and shows it.
"""

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.report import describe_failure, describe_strikes
from tests.simulation.run import draw_plan, run

CHUNK = 25
SEEDS = 10**9
PROGRESS_SECONDS = 5.0

Chunk = tuple[int, int | None, Counter[str]]
"""How many schedules were run, the first seed that failed, and what struck."""


def main() -> int:
    """0 if every schedule held, 1 if not."""
    arguments = _arguments()
    first, runs = arguments.seed, arguments.runs
    _say(f"seeds {first} to {first + runs - 1}")
    started = time.monotonic()
    done, failed, strikes = _run_all(range(first, first + runs), arguments.jobs)
    rate = done / (time.monotonic() - started)
    _say(f"{done} schedules, {rate:.0f}/s; what struck:\n{describe_strikes(strikes)}")
    if failed is not None:
        _say(f"\n{describe_failure(failed)}")
        return 1
    _say("every invariant held in every schedule")
    return 0


def _run_all(seeds: Sequence[int], jobs: int) -> tuple[int, int | None, Counter[str]]:
    done, strikes = 0, Counter[str]()
    shown = started = time.monotonic()
    for count, failed, struck in _chunks(seeds, jobs):
        done += count
        strikes += struck
        if failed is not None:
            return done, failed, strikes
        if time.monotonic() - shown > PROGRESS_SECONDS:
            shown = time.monotonic()
            _say(f"{done} of {len(seeds)}, {done / (shown - started):.0f}/s")
    return done, None, strikes


def _chunks(seeds: Sequence[int], jobs: int) -> Iterator[Chunk]:
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    if jobs == 1 or len(chunks) == 1:
        yield from map(_run_some, chunks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        try:
            yield from pool.map(_run_some, chunks)
        finally:
            pool.shutdown(cancel_futures=True)


def _run_some(seeds: Sequence[int]) -> Chunk:
    strikes = Counter[str]()
    for done, seed in enumerate(seeds, 1):
        result = run(draw_plan(seed))
        strikes += result.strikes
        if result.violation:
            return done, seed, strikes
    return len(seeds), None, strikes


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command's output


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__.split("\n\n")[1])
    parser.add_argument("--seed", type=int, default=None, help="the first seed (default: a fresh one)")
    parser.add_argument("--runs", type=int, default=1, help="how many seeds, from the first on (default: 1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    arguments = parser.parse_args()
    if arguments.seed is None:
        arguments.seed = random.SystemRandom().randrange(SEEDS)
    return arguments


if __name__ == "__main__":
    sys.exit(main())
