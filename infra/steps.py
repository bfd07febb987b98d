"""Runs steps in parallel, each after the steps that it depends on, and prints one line for each.

Used for the set-up (packages, jars) and for the start of the components. Standard library only: the set-up runs before
any package is installed.
"""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass


class StepFailed(Exception):
    """A step failed for a foreseen reason. The text tells the user what to do; no traceback is shown."""


@dataclass(frozen=True)
class Step:
    """One step and its line in the output.

    Attributes:
        name: printed.
        work: does the step; returns a detail to print, or "".
        after: the names of the steps that have to be done before.
    """

    name: str
    work: Callable[[], str]
    after: Sequence[str] = ()


def run(steps: Sequence[Step], say: Callable[[str], None] = print) -> None:
    """Runs all steps. After a failure no step is started, and running ones are waited for.

    Raises:
        StepFailed: every failure, in one text.
    """
    waiting = list(steps)
    done: set[str] = set()
    running: dict[Future[str], Step] = {}
    failures: list[BaseException] = []
    with ThreadPoolExecutor(max_workers=max(1, len(steps))) as pool:
        while running or (waiting and not failures):
            if not failures:
                for step in [step for step in waiting if done.issuperset(step.after)]:
                    waiting.remove(step)
                    running[pool.submit(_timed, step, say)] = step
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                done.add(running.pop(future).name)
                if (error := future.exception()) is not None:
                    failures.append(error)
    if failures:
        _raise(failures)


def _timed(step: Step, say: Callable[[str], None]) -> str:
    began = time.monotonic()
    try:
        detail = step.work()
    except Exception:
        say(f"  {step.name:<12} failed after {time.monotonic() - began:.1f} s")
        raise
    say(f"  {step.name:<12} {time.monotonic() - began:5.1f} s  {detail}".rstrip())
    return detail


def _raise(failures: Sequence[BaseException]) -> None:
    """Raises an unforeseen error with its traceback, or all foreseen ones as one StepFailed."""
    for failure in failures:
        if not isinstance(failure, StepFailed):
            raise failure
    raise StepFailed("\n\n".join(str(failure) for failure in failures)) from failures[0]


def poll(check: Callable[[], None], within: float, every: float = 0.1) -> None:
    """Calls `check` every `every` seconds until it raises nothing.

    Raises:
        StepFailed: at once, if `check` raises it.
        Exception: the last error of `check`, after `within` seconds.
    """
    deadline = time.monotonic() + within
    while True:
        try:
            return check()
        except StepFailed:
            raise
        except Exception:
            if time.monotonic() > deadline:
                raise
        time.sleep(every)


def command_start() -> float:
    """The Unix time at which the user's command started; its first process passes it on in the environment."""
    return float(os.environ.get("COMMAND_STARTED_AT") or time.time())
