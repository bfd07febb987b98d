"""Installs the virtual environment and the jars, each only when its lock file has changed.

`python -m infra.bootstrap native|dev` installs them, `... lock-jars` writes the lock file of the jars.
Runs with a bare Python: standard library only.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra import steps

CHECKOUT = Path(__file__).resolve().parents[1]
REQUIREMENTS = CHECKOUT / "requirements"
VENV = CHECKOUT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.json"
STACKS = CHECKOUT / ".stack"
JARS = STACKS / "jars"
POM = CHECKOUT / "infra" / "kafka" / "pom.xml"
JARS_LOCK = CHECKOUT / "infra" / "kafka" / "jars.sha256"
OLDEST_JAVA = 17
LINES_SHOWN = 20


def prepare(requirements: str) -> None:
    """Installs requirements/<requirements>.txt into .venv, and the jars of infra/kafka/pom.xml into .stack/jars."""
    STACKS.mkdir(exist_ok=True)
    with _locked():
        require_java()
        missing = []
        if not packages_are_installed(requirements):
            require_venv()
            missing.append(steps.Step("packages", lambda: install_packages(requirements)))
        if not jars_are_installed():
            require_maven()
            missing.append(steps.Step("jars", fetch_jars))
        if missing:
            print("Setting up:", flush=True)
            steps.run(missing)


def packages_are_installed(requirements: str) -> bool:
    """Whether .venv has them. dev.txt includes all of native.txt, so an installed dev.txt is enough for both."""
    if not PYTHON.exists():
        return False
    installed = json.loads(STAMP.read_text()) if STAMP.exists() else {}
    return any(installed.get(name) == _fingerprint(name) for name in {requirements, "dev"})


def _fingerprint(requirements: str) -> str:
    """A hash of what an installation depends on: the lock file, the Python, and the path that its scripts contain."""
    content = (REQUIREMENTS / f"{requirements}.txt").read_bytes() + f"{VENV} {sys.version}".encode()
    return hashlib.sha256(content).hexdigest()


def install_packages(requirements: str) -> str:
    """Installs into .venv; one that another Python, or another checkout, has created is deleted first."""
    if not _venv_is_ours():
        shutil.rmtree(VENV, ignore_errors=True)
        _run("the virtual environment", [sys.executable, "-m", "venv", str(VENV)])
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    _run("pip", [*pip, "--require-hashes", "--requirement", str(REQUIREMENTS / f"{requirements}.txt")])
    _note_installed(requirements)
    return f"requirements/{requirements}.txt in .venv"


def _venv_is_ours() -> bool:
    if not (PYTHON.exists() and STAMP.exists()):
        return False
    return bool(json.loads(STAMP.read_text()).get("made by") == f"{VENV} {sys.version}")


def _note_installed(requirements: str) -> None:
    STAMP.write_text(json.dumps({"made by": f"{VENV} {sys.version}", requirements: _fingerprint(requirements)}))


def jars_are_installed() -> bool:
    """Whether the jars are those of the lock file: fetch_jars() leaves a copy of it in their folder."""
    stamp = JARS / JARS_LOCK.name
    return stamp.exists() and stamp.read_bytes() == JARS_LOCK.read_bytes()


def fetch_jars() -> str:
    """Fetches the jars into a draft folder and renames it when their hashes are those of the lock file."""
    draft = STACKS / "jars.new"
    download_jars(draft)
    locked = (line.split(maxsplit=1) for line in JARS_LOCK.read_text().splitlines())
    expected = {name: digest for digest, name in locked}
    actual = hashes(draft)
    different = sorted(name for name in expected.keys() | actual.keys() if expected.get(name) != actual.get(name))
    if different:
        raise steps.StepFailed(f"these jars differ from {JARS_LOCK.name}: {', '.join(different)}")
    shutil.copyfile(JARS_LOCK, draft / JARS_LOCK.name)
    shutil.rmtree(JARS, ignore_errors=True)
    draft.rename(JARS)
    return f"{len(actual)} jars: Kafka, Connect, Debezium"


def download_jars(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    maven = ["mvn", "--batch-mode", "--no-transfer-progress", "--strict-checksums", "--quiet", "--file", str(POM)]
    _run("Maven", [*maven, "package", f"-Djars.folder={folder}"])


def hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of each jar by its path in the folder."""
    jars = sorted(folder.rglob("*.jar"))
    return {str(jar.relative_to(folder)): hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars}


def lock_jars() -> None:
    """Writes the hashes of the jars that Maven fetches now into the lock file."""
    draft = STACKS / "jars.new"
    download_jars(draft)
    JARS_LOCK.write_text("".join(f"{digest}  {name}\n" for name, digest in hashes(draft).items()))
    shutil.rmtree(draft)


def require_venv() -> None:
    imported = subprocess.run([sys.executable, "-c", "import venv, ensurepip"], capture_output=True, check=False)
    if imported.returncode != 0:
        raise steps.StepFailed(
            "Python's modules venv and ensurepip are needed: install them (Debian, Ubuntu: apt install python3-venv)"
        )


def require_java() -> None:
    """Raises StepFailed unless the Java of JAVA_HOME, or else of the PATH, is new enough for Kafka 4."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else "java"
    need = f"Java {OLDEST_JAVA} or newer is needed"
    remedy = "install it (Debian, Ubuntu: apt install openjdk-17-jre-headless)"
    try:
        output = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError):
        where = f" in JAVA_HOME={home}" if home else ""
        raise steps.StepFailed(f"{need} and was not found{where}: {remedy}") from None
    if (version := java_version(output)) < OLDEST_JAVA:
        raise steps.StepFailed(f"{need}, found Java {version}: {remedy}")


def java_version(output: str) -> int:
    """The feature number in the output of `java -version`: 17 of "17.0.15", 8 of "1.8.0_402"."""
    found = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(found[1]) if found else 0


def require_maven() -> None:
    if shutil.which("mvn") is None:
        raise steps.StepFailed(
            "Maven (mvn) is needed and was not found: install it (Debian, Ubuntu: apt install maven)"
        )


def _run(name: str, command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=False)
    if done.returncode != 0:
        output = "\n".join((done.stdout + done.stderr).strip().splitlines()[-LINES_SHOWN:])
        raise steps.StepFailed(f"{name} failed:\n{output}")


@contextmanager
def _locked() -> Iterator[None]:
    """Runs one installation at a time: all stacks of a checkout share .venv and the jars."""
    with (STACKS / "bootstrap.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    try:
        match sys.argv[1:]:
            case [("native" | "dev") as requirements]:
                prepare(requirements)
            case ["lock-jars"]:
                lock_jars()
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except steps.StepFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
