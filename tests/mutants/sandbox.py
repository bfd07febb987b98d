"""A copy of the checkout in which bugs are planted and tests are run, with time limits, and with stacks of its own."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path

from infra.native import processes
from infra.native.layout import Layout
from infra.native.postgres import runner
from tests.mutants.mutant import Mutant
from tests.mutants.suites import ROOT, Step

NOT_COPIED = (".git", ".venv", ".stack", ".hypothesis", "build", "__pycache__", ".*_cache")
SHARED = (".venv", ".stack/jars")
"""Of the checkout: too large to be copied, and not changed by any test."""

FAILED_TEST = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
VIOLATED = re.compile(r"^(seed \d+ violates: .*)$", re.MULTILINE)
TIMED_OUT = re.compile(r"\++ Timeout \++")
"""pytest-timeout's line above the stacks of all threads. It ends the process, so no test is named below."""

SHOWN = 200
"""Characters: a violated invariant may show the state of everything."""


class DoesNotFit(Exception):
    """The code does not have the text that a bug changes exactly once."""


@dataclass(frozen=True, slots=True)
class Catch:
    """A step that failed on a copy with a bug.

    Attributes:
        test: the first test that failed; "hung" if the run did not end.
    """

    step: str
    test: str
    seconds: float


class Sandbox:
    """A copy of the checkout. One run at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: subprocess.Popen[str] | None = None

    @contextmanager
    def planted(self, mutant: Mutant) -> Iterator[None]:
        """The copy has the bug in this block.

        Raises:
            DoesNotFit: the catalogue does not fit the code any more.
        """
        file = self.folder / mutant.file
        text = file.read_text(encoding="utf-8")
        if text.count(mutant.old) != 1:
            raise DoesNotFit(f"{mutant.name}: {mutant.file} has its text {text.count(mutant.old)} times, not once")
        self._write(file, text.replace(mutant.old, mutant.new))
        try:
            yield
        finally:
            self._write(file, text)

    def run(self, step: Step) -> Catch | None:
        """Runs a step; None if it passes."""
        began = time.monotonic()
        code, output, hung = self._run(step)
        if code == -signal.SIGKILL and not hung:
            code, output, hung = self._run(step)  # no test sends it: something else on this machine has
        if code == 0:
            return None
        test = "hung" if hung or TIMED_OUT.search(output) else _first_failure(output)
        return Catch(step.name, test, time.monotonic() - began)

    def _run(self, step: Step) -> tuple[int, str, bool]:
        """The exit code, the output, and whether it was ended after its time."""
        process = subprocess.Popen(
            [sys.executable, *step.arguments],
            cwd=self.folder,
            env={**os.environ, "KEEP_STACK": "1" if step.keeps_stack else "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._running, hung = process, threading.Event()

        def give_up() -> None:
            hung.set()
            self.kill()

        timer = threading.Timer(step.seconds, give_up)
        timer.start()
        try:
            output, _ = process.communicate()
        finally:
            timer.cancel()
            self.kill()  # what the tests have left behind, such as servers
            if (step.needs_stack and not step.keeps_stack) or hung.is_set():
                self.end_stacks()
        return process.returncode, output, hung.is_set()

    def kill(self) -> None:
        """Ends the step that runs, and all processes of its session."""
        if self._running:
            with suppress(ProcessLookupError):
                os.killpg(self._running.pid, signal.SIGKILL)
            self._running = None  # its id may become that of another process

    def end_stacks(self) -> None:
        """Ends all stacks that tests have started in the copy, whatever state the bug has left them in."""
        for folder in (self.folder / ".stack").iterdir():
            if folder.is_symlink() or not folder.is_dir():
                continue
            postgres = runner(Layout(folder), "")
            processes.end(processes.of_stack(folder, postgres.data))
            postgres.remove()
            shutil.rmtree(folder, ignore_errors=True)

    def _write(self, file: Path, text: str) -> None:
        file.write_text(text, encoding="utf-8")
        # The cache is known by the file's time in seconds and its size: two bugs in one second might share both.
        if file.suffix == ".py":
            Path(cache_from_source(str(file))).unlink(missing_ok=True)


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """A new copy. At the end its processes are ended and its folder is deleted."""
    with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve() / "checkout"
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_COPIED), symlinks=True)
        (folder / ".stack").mkdir()
        for shared in SHARED:
            (folder / shared).symlink_to((ROOT / shared).resolve())
        copy = Sandbox(folder)
        try:
            yield copy
        finally:
            copy.kill()
            copy.end_stacks()


def _first_failure(output: str) -> str:
    found = FAILED_TEST.search(output) or VIOLATED.search(output)
    lines = output.strip().splitlines()
    return (found[1] if found else (lines[-1] if lines else "no output"))[:SHOWN]
