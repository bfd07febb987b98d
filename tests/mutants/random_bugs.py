"""python -m tests.mutants.random_bugs [--jobs N]

Runs mutmut in a copy of the checkout: it changes one operator, name or constant at a time, and runs the unit tests and
a share of the simulation (pyproject.toml, [tool.mutmut]). Fails if less than 90 % of the bugs are found, or if one
survives that tests/mutants/survivors.toml does not judge.
"""

import argparse
import signal
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.sandbox import sandbox
from tests.mutants.suites import ROOT

JUDGED = ROOT / "tests" / "mutants" / "survivors.toml"
LEAST_SHARE = 0.9

FOUND = ("killed", "timeout", "suspicious", "segfault")
"""mutmut's words for a bug that a test has found; a test that hangs or crashes the process has found it too."""


@dataclass(frozen=True, slots=True, order=True)
class Survivor:
    """A random bug that no test has found: the lines before and after it, without their indentation."""

    file: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.file}\n    - {self.before}\n    + {self.after}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        total, found: how many bugs, by file.
    """

    total: Counter[str]
    found: Counter[str]
    survivors: list[Survivor]


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the sandbox is cleared away
    with sandbox() as copy:
        run = subprocess.run([_program(), "run", "--max-children", str(arguments.jobs)], cwd=copy.folder, check=False)
        if run.returncode:
            return run.returncode
        outcome = read_outcome(copy.folder)
    lines, passed = report(outcome, set(read_judged(JUDGED)))
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if passed else 1


def read_outcome(folder: Path) -> Outcome:
    """The results of mutmut in a folder."""
    status = dict(_statuses(_mutmut(folder, "results", "--all", "true")))
    total = Counter(file_of(name) for name in status)
    found = Counter(file_of(name) for name, word in status.items() if word in FOUND)
    surviving = [name for name, word in status.items() if word not in FOUND]
    with ThreadPoolExecutor(2) as pool:
        differences = pool.map(lambda name: _mutmut(folder, "show", name), surviving)
        survivors = [survivor(file_of(name), text) for name, text in zip(surviving, differences, strict=True)]
    return Outcome(total, found, survivors)


def _statuses(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, separator, word = line.strip().rpartition(": ")
        if separator and "__mutmut_" in name:
            yield name, word


def file_of(name: str) -> str:
    """From mutmut's name of a bug, e.g. services.order.domain.x_place__mutmut_3: services/order/domain.py."""
    module = name.partition("__mutmut_")[0].rpartition(".")[0]
    return module.replace(".", "/") + ".py"


def survivor(file: str, difference: str) -> Survivor:
    """From a unified difference."""
    lines = [line for line in difference.splitlines() if line[:1] in "-+" and line[:3] not in ("---", "+++")]
    before, after = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return Survivor(file, before, after)


def read_judged(file: Path) -> Iterator[Survivor]:
    """The survivors that somebody has looked at; each has a reason."""
    for entry in tomllib.loads(file.read_text(encoding="utf-8"))["survivor"]:
        assert entry["reason"].strip()
        yield Survivor(entry["file"], entry["before"], entry["after"])


def report(outcome: Outcome, judged: Iterable[Survivor]) -> tuple[list[str], bool]:
    """The lines to print, and whether the run passes."""
    known = set(judged)
    lines = [f"{file:45} {outcome.found[file]:4} of {number:4}" for file, number in sorted(outcome.total.items())]
    unjudged = sorted(set(outcome.survivors) - known)
    lines += [f"survives, and is not judged: {bug}" for bug in unjudged]
    lines += [f"judged, but does not survive: {bug}" for bug in sorted(known - set(outcome.survivors))]
    total, found = outcome.total.total(), outcome.found.total()
    share = found / total if total else 0.0
    lines.append(f"{found} of {total} random bugs were found ({share:.1%}); {len(unjudged)} survivors are not judged")
    return lines, share >= LEAST_SHARE and not unjudged


def _mutmut(folder: Path, *arguments: str) -> str:
    return subprocess.run([_program(), *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def _program() -> str:
    return str(Path(sys.executable).with_name("mutmut"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants.random_bugs", description=(__doc__ or "").partition("\n\n")[2]
    )
    parser.add_argument("--jobs", type=int, default=2, help="bugs at a time")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
