"""Steps that run at the same time, each as soon as those before it are done, one printed line for each.

Used for the set-up (packages, jars) and for the start of the components alike; standard library only, as the set-up
runs before any package is there.
"""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass


class StepFailed(Exception):
    """A step could not be done; the text says what to look at and stands for itself (no traceback is shown)."""


@dataclass(frozen=True)
class Step:
    """One line of the report: `work` starts when the steps named in `after` are done and returns a remark (or "")."""

    name: str
    work: Callable[[], str]
    after: Sequence[str] = ()


def run(steps: Sequence[Step], say: Callable[[str], None] = print) -> None:
    """Run all steps. After a failure nothing new begins, what runs is finished, and StepFailed tells what failed."""
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
        remark = step.work()
    except Exception:
        say(f"  {step.name:<12} failed after {time.monotonic() - began:.1f} s")
        raise
    say(f"  {step.name:<12} {time.monotonic() - began:5.1f} s  {remark}".rstrip())
    return remark


def _raise(failures: Sequence[BaseException]) -> None:
    """What nobody foresaw keeps its traceback; what was foreseen is told in words."""
    for failure in failures:
        if not isinstance(failure, StepFailed):
            raise failure
    raise StepFailed("\n\n".join(str(failure) for failure in failures)) from failures[0]


def poll(check: Callable[[], None], within: float, every: float = 0.1) -> None:
    """Call `check` until it raises nothing; past `within` seconds its last error is the answer."""
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
    """When the user's command began: its first process passes the moment on to the one that ends it."""
    return float(os.environ.get("COMMAND_STARTED_AT") or time.time())
