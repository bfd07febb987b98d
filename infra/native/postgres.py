"""PostgreSQL as a process. It refuses to run as root, so root has to start it as another user.

There are three modes. POSTGRES_AS chooses one; without it, the first that works on this machine is used:

self        as the caller, who is not root
namespace   in a user namespace that maps root to the user id 1000: the files still belong to root, so the checkout may
            be in a home folder that no other user can read
user        as `nobody`, where namespaces are not allowed: `nobody` cannot enter the checkout, so the data and a copy of
            the programs are in a folder under /var/lib
"""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.native import engines
from infra.native.layout import INFRA, Layout
from infra.native.ports import HOST
from infra.steps import StepFailed

MODES = ("self", "namespace", "user")
NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
UNPRIVILEGED = "nobody"
CONFIGURATION = ("postgresql.conf", "pg_hba.conf")


@dataclass(frozen=True)
class PostgresRunner:
    """Runs PostgreSQL's programs in one of the modes.

    Attributes:
        mode: one of MODES.
        programs: the folder of `postgres` and `initdb`.
        data: the data folder.
        home: the folder outside of the stack's that holds data and programs in the mode `user`; otherwise None.
    """

    mode: str
    programs: Path
    data: Path
    home: Path | None = None

    def command(self, program: str, *arguments: str) -> list[str]:
        prefix: Sequence[str] = ()
        if self.mode == "namespace":
            prefix = NAMESPACE
        elif self.mode == "user":
            user = pwd.getpwnam(UNPRIVILEGED)
            prefix = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
        return [*prefix, str(self.programs / program), *arguments]

    def server_command(self, port: int) -> list[str]:
        options = (f"port={port}", f"listen_addresses={HOST}", "unix_socket_directories=")
        return self.command("postgres", "-D", str(self.data), *(part for option in options for part in ("-c", option)))

    def prepare(self, password: str) -> str:
        """Creates the data folder if it is missing, and copies the configuration into it; returns what was created."""
        created = ""
        if not (self.data / "PG_VERSION").exists():
            self._create_cluster(password)
            created = "new data folder"
        for name in CONFIGURATION:
            shutil.copyfile(INFRA / "postgres" / name, self.data / name)
            self._change_owner(self.data / name)
        return created

    def _create_cluster(self, password: str) -> None:
        """Runs initdb in a draft folder and renames it, so that an interrupted initdb leaves no data folder."""
        draft = self.data.with_name("postgres.new")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        with tempfile.NamedTemporaryFile("w", dir=self.data.parent) as file:
            file.write(password)
            file.flush()
            self._change_owner(Path(file.name))
            options = ("--username=postgres", "--auth=scram-sha-256", f"--pwfile={file.name}")
            locale = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
            command = self.command("initdb", f"--pgdata={draft}", *options, *locale, "--no-instructions")
            initdb = subprocess.run(command, capture_output=True, text=True, cwd=self.data.parent, check=False)
        if initdb.returncode != 0:
            raise StepFailed(f"initdb failed: {(initdb.stderr or initdb.stdout).strip()}")
        draft.rename(self.data)

    def _change_owner(self, file: Path) -> None:
        if self.mode == "user":
            os.chown(file, pwd.getpwnam(UNPRIVILEGED).pw_uid, -1)

    def remove(self) -> None:
        if self.home is not None:
            shutil.rmtree(self.home)


def runner(layout: Layout, chosen: str) -> PostgresRunner:
    """The runner for this machine and this stack's data; `chosen` is the setting POSTGRES_AS, or ""."""
    if chosen and chosen not in MODES:
        raise StepFailed(f"POSTGRES_AS={chosen} is none of: {', '.join(MODES)}")
    mode = chosen or _mode_of_the_data(layout) or _first_mode_that_works()
    if _mode_of_the_data(layout) not in ("", mode) and "user" in (mode, _mode_of_the_data(layout)):
        raise StepFailed(f"POSTGRES_AS={mode}: this stack's data were created in another mode; make reset deletes them")
    if mode == "user":
        return _runner_as_user(layout)
    return PostgresRunner(mode, engines.postgres_folder(), layout.data / "postgres")


def _mode_of_the_data(layout: Layout) -> str:
    """The mode in which this stack's data were created, known by the folder they are in; "" for a new stack."""
    if _user_home(layout).exists():
        return "user"
    if (layout.data / "postgres").exists():
        return "namespace" if os.geteuid() == 0 else "self"
    return ""


def _first_mode_that_works() -> str:
    if os.geteuid() != 0:
        return "self"
    if engines.unshare() is None:
        return "user"
    allowed = subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    return "namespace" if allowed else "user"


def _user_home(layout: Layout) -> Path:
    """A folder for each stack, named by a hash: the path of the stack's folder may be private."""
    name = hashlib.sha256(str(layout.folder).encode()).hexdigest()[:16]
    return Path("/var/lib/customers-and-orders") / name


def _runner_as_user(layout: Layout) -> PostgresRunner:
    home = _user_home(layout)
    programs = engines.postgres_folder()
    installation = programs.parent
    copy = home / "programs"
    if not copy.exists():
        home.mkdir(parents=True, exist_ok=True)
        draft = home / "programs.new"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(installation, draft / "package" / installation.name, symlinks=True)
        # The programs look for the wheel's shared libraries in a folder beside the package.
        for libraries in installation.parent.parent.glob(f"{installation.parent.name}.libs"):
            shutil.copytree(libraries, draft / libraries.name)
        draft.rename(copy)
    home.chmod(0o755)
    data_home = home / "data"
    data_home.mkdir(exist_ok=True, mode=0o700)
    user = pwd.getpwnam(UNPRIVILEGED)
    os.chown(data_home, user.pw_uid, user.pw_gid)
    copied_programs = copy / "package" / installation.name / programs.name
    return PostgresRunner("user", copied_programs, data_home / "postgres", home)
