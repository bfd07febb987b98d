"""The code of an earlier version."""

import subprocess
from pathlib import Path

from tests.processes import CHECKOUT


def checkout_of(commit: str, folder: Path) -> Path:
    """Puts the tracked files of a commit into a new folder. Its code runs with the packages of the present locks."""
    archive = subprocess.run(["git", "archive", commit], cwd=CHECKOUT, capture_output=True, check=False)
    assert archive.returncode == 0, (
        f"the commit {commit} is not in this clone; get the whole history (git fetch --unshallow): "
        f"{archive.stderr.decode(errors='replace').strip()}"
    )
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder
