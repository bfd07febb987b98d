"""python -m tests.mutants [WORD ...] [--list] [--quick] [--jobs N]

Plants one bug at a time in a copy of the code, and shows which test finds it. Words choose areas, or bugs by their
names. The exit code is 1 if a bug survives.
"""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from itertools import takewhile
from queue import SimpleQueue

from tests.mutants.areas import AREAS
from tests.mutants.mutant import Mutant
from tests.mutants.sandbox import Catch, Sandbox, sandbox
from tests.mutants.suites import SUITES, Step, pytest_step, steps_for

Hunt = tuple[Mutant, Sequence[Step]]
"""A bug, and the steps that look for it."""


def main() -> int:
    arguments = _arguments()
    chosen = list(_chosen(arguments.words))
    if arguments.list:
        for area, mutant in chosen:
            _say(f"{area:14} {mutant.name:80} {mutant.file}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the sandboxes are cleared away
    hunts = [(mutant, list(steps_for(mutant, AREAS[area]))) for area, mutant in chosen]
    quick = [(mutant, list(_without_a_stack(steps))) for mutant, steps in hunts]
    with ExitStack() as opened:
        sandboxes = [opened.enter_context(sandbox()) for _ in range(arguments.jobs)]
        if not arguments.trust:
            _require_passing(sandboxes[0], [SUITES["unit"], SUITES["simulation"]])
        survivors = _hunt_all(quick, sandboxes)
        if survivors and not arguments.quick:
            # One at a time: a stack takes all cores of a small machine.
            left = [(mutant, steps[len(done) :]) for (mutant, steps), (_, done) in zip(hunts, quick, strict=True)]
            left = [hunt for hunt in left if hunt[0] in survivors]
            if not arguments.trust:
                _require_passing(sandboxes[0], _named_on_a_stack(left))
            survivors = _hunt_all(left, sandboxes[:1])
    for mutant in survivors:
        _say(f"SURVIVED  {mutant.name}  ({mutant.file})")
    _say(f"{len(chosen) - len(survivors)} of {len(chosen)} planted bugs were found")
    return 1 if survivors else 0


def _chosen(words: Sequence[str]) -> Iterator[tuple[str, Mutant]]:
    for area, content in AREAS.items():
        for mutant in content.mutants:
            if not words or area in words or any(word in mutant.name for word in words):
                yield area, mutant


def _without_a_stack(steps: Sequence[Step]) -> Iterator[Step]:
    """The first steps, up to one that needs a stack."""
    return takewhile(lambda step: not step.needs_stack, steps)


def _named_on_a_stack(hunts: Sequence[Hunt]) -> list[Step]:
    """All tests that bugs name and that need a stack, as one step: it passes without a bug."""
    steps = [step for _, steps in hunts for step in steps if step.needs_stack and step.name not in SUITES]
    paths = dict.fromkeys(path for step in steps for path in step.arguments if path.startswith("tests/"))
    return [pytest_step("named, on a stack", tuple(paths), 3_600.0, needs_stack=True)] if paths else []


def _require_passing(copy: Sandbox, steps: Sequence[Step]) -> None:
    for step in steps:
        if failure := copy.run(step):
            sys.exit(f"tests fail without a planted bug: {failure.step}: {failure.test}")


def _hunt_all(hunts: Sequence[Hunt], sandboxes: Sequence[Sandbox]) -> list[Mutant]:
    """Looks for all bugs, one in each sandbox at a time; returns those that survive."""
    free: SimpleQueue[Sandbox] = SimpleQueue()
    for copy in sandboxes:
        free.put(copy)

    def hunt(mutant: Mutant, steps: Sequence[Step]) -> Catch | None:
        copy = free.get()
        try:
            with copy.planted(mutant):
                return next(filter(None, map(copy.run, steps)), None)
        finally:
            free.put(copy)

    survivors: list[Mutant] = []
    with ThreadPoolExecutor(len(sandboxes)) as pool:
        try:
            hunted = {pool.submit(hunt, mutant, steps): mutant for mutant, steps in hunts}
            for number, done in enumerate(as_completed(hunted), 1):
                mutant, catch = hunted[done], done.result()
                if catch is None:
                    survivors.append(mutant)
                _say(f"{number:3}/{len(hunts)}  {mutant.name:72}  {_told(catch)}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for copy in sandboxes:
                copy.kill()
            raise
    return [mutant for mutant, _ in hunts if mutant in survivors]


def _told(catch: Catch | None) -> str:
    return f"{catch.step}, {catch.seconds:.0f} s: {catch.test}" if catch else "not found by these steps"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.partition("\n\n")[2])
    parser.add_argument("words", nargs="*", help=f"an area ({', '.join(AREAS)}) or a part of a bug's name")
    parser.add_argument("--list", action="store_true", help="show the bugs only")
    parser.add_argument("--quick", action="store_true", help="only the first steps, up to one that needs a stack")
    parser.add_argument("--jobs", type=int, default=2, help="bugs at a time, while no stack is needed")
    parser.add_argument("--trust", action="store_true", help="do not first run the tests without a bug")
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
