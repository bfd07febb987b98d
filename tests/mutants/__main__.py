"""python -m tests.mutants: plants one bug at a time in a copy of the code, and shows which test catches it."""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.catalogue import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
PACKAGES = ("contracts", "runtime", "storage", "messaging", "web", "services", "operations", "infra", "bench")
COPIED = (*PACKAGES, "tests", "pyproject.toml")

NOT_THE_CATALOGUE = ("--ignore", "tests/unit/tests/mutants/test_catalogue.py")
"""It looks for the places of the planted bugs, and would catch every one by its text."""

SUITES = {
    "unit": ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *NOT_THE_CATALOGUE, "tests/unit", "tests/contract"],
    "simulation": ["-m", "tests.simulation", "--seed", "1", "--runs", "300", "--jobs", "2"],
    "long simulation": ["-m", "tests.simulation", "--seed", "301", "--runs", "4000", "--jobs", "2"],
    # Last, for it starts a stack: SQL, MongoDB's language and Kafka's client, which are only simulated above.
    "real parts": [
        *("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"),
        *("tests/behaviour", "tests/property/test_state_machine.py"),
    ],
}
"""From the quick ones to the slow ones; the first that fails has caught the bug."""

JARS = Path(".stack", "jars")

FAILED_TEST = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
VIOLATED = re.compile(r"^(seed \d+ violates: .*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Catch:
    """Who caught a bug, and how."""

    suite: str
    test: str
    seconds: float


def plant(mutant: Mutant, folder: Path) -> None:
    """Changes the copy; raises if the code is not (any more) what the catalogue says."""
    file = folder / mutant.file
    text = file.read_text()
    if text.count(mutant.old) != 1:
        raise SystemExit(f"{mutant.name}: {mutant.file} has its text {text.count(mutant.old)} times, not once")
    file.write_text(text.replace(mutant.old, mutant.new))


def hunt(mutant: Mutant | None) -> Catch | None:
    """The first suite that fails on a copy with the bug, or on one without any; None if all of them pass."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name)
        copy_code(folder)
        if mutant:
            plant(mutant, folder)
        for suite, arguments in SUITES.items():
            began = time.monotonic()
            run = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
            if run.returncode:
                return Catch(suite, _first_failure(run.stdout + run.stderr), time.monotonic() - began)
    return None


def copy_code(folder: Path) -> None:
    """All that the suites need; the copy's stack is its own, but for the jars that `make dev` has brought."""
    for part in COPIED:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / part)
    (folder / JARS).parent.mkdir()
    (folder / JARS).symlink_to(ROOT / JARS)


def _first_failure(output: str) -> str:
    found = FAILED_TEST.search(output) or VIOLATED.search(output)
    lines = output.strip().splitlines()
    return found[found.lastindex or 0] if found else (lines[-1] if lines else "no output")


def main() -> int:
    if failure := hunt(None):
        sys.exit(f"the suites fail without a planted bug: {failure.suite}: {failure.test}")
    survivors = 0
    wanted = [mutant for mutant in MUTANTS if not sys.argv[1:] or any(word in mutant.name for word in sys.argv[1:])]
    for number, mutant in enumerate(wanted, 1):
        catch = hunt(mutant)
        survivors += catch is None
        told = f"{catch.suite}, {catch.seconds:.0f} s: {catch.test}" if catch else "SURVIVED"
        sys.stdout.write(f"{number:2}/{len(wanted)}  {mutant.name:48}  {told}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{len(wanted) - survivors} of {len(wanted)} planted bugs were caught\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
