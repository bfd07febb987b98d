"""Paths: the checkout's, and those in the folder of a stack (.stack/NAME, ignored by git)."""

from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
INFRA = CHECKOUT / "infra"
STACKS = CHECKOUT / ".stack"
JARS = STACKS / "jars"


@dataclass(frozen=True)
class Layout:
    """The paths of one stack."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets.env"

    @property
    def ports(self) -> Path:
        return self.folder / "ports.json"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    def log_of(self, component: str) -> Path:
        return self.logs / f"{component}.log"

    def create(self) -> None:
        """Creates the folders, readable by their owner only."""
        for folder in (self.folder, self.data, self.logs, self.run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
