"""The stacks of this user on this machine, in all checkouts: no two of them get the same port.

Each stack enters the file that remembers its ports. A stack chooses its ports while it holds the registry's lock and
avoids the ports of all other stacks, whether these run or not.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def folder() -> Path:
    """The folder of the registry, in the user's cache folder (XDG_CACHE_HOME)."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "customers-and-orders"


class Registry:
    """The entered files; only valid while the lock is held."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def others(self, own: Path) -> list[Path]:
        """The existing files of the other stacks."""
        return [path for path in self._entries() if path != own]

    def enter(self, own: Path) -> None:
        """Adds a stack's file, and removes those of deleted stacks."""
        entries = [*self.others(own), own]
        draft = self._file.with_suffix(".new")
        draft.write_text("".join(f"{path}\n" for path in entries), encoding="utf-8")
        draft.replace(self._file)

    def _entries(self) -> list[Path]:
        lines = self._file.read_text(encoding="utf-8").splitlines() if self._file.exists() else []
        return [path for path in map(Path, lines) if path.exists()]


@contextmanager
def locked(where: Path | None = None) -> Iterator[Registry]:
    """The registry in the folder `where`, or in folder(); a second caller waits."""
    where = where or folder()
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (where / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Registry(where / "stacks")
