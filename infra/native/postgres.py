"""PostgreSQL as a process: it refuses to run as root, so root starts it as somebody else.

Three ways, chosen by POSTGRES_AS, or the first that works here:

self        as the caller, who is not root
namespace   in a user namespace in which root is called 1000: the files stay root's, so the checkout may lie in a home
            that nobody else can read
user        as `nobody`, where namespaces are not allowed; a copy of the programs and the data then lie in a folder of
            their own under /var/lib, as `nobody` cannot enter the checkout
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

WAYS = ("self", "namespace", "user")
NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
UNPRIVILEGED = "nobody"
CONFIGURATION = ("postgresql.conf", "pg_hba.conf")


@dataclass(frozen=True)
class PostgresRunner:
    """How to run PostgreSQL's programs, and where its data are."""

    way: str
    programs: Path
    data: Path
    home: Path | None = None
    """What lies outside of the stack's folder."""

    def command(self, program: str, *arguments: str) -> list[str]:
        prefix: Sequence[str] = ()
        if self.way == "namespace":
            prefix = NAMESPACE
        elif self.way == "user":
            who = pwd.getpwnam(UNPRIVILEGED)
            prefix = ("setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups")
        return [*prefix, str(self.programs / program), *arguments]

    def server_command(self, port: int) -> list[str]:
        options = (f"port={port}", f"listen_addresses={HOST}", "unix_socket_directories=")
        return self.command("postgres", "-D", str(self.data), *(part for option in options for part in ("-c", option)))

    def prepare(self, password: str) -> str:
        """A data folder with the stack's configuration in it; a new one gets the administrator's password."""
        remark = ""
        if not (self.data / "PG_VERSION").exists():
            self._create_cluster(password)
            remark = "new data folder"
        for name in CONFIGURATION:
            shutil.copyfile(INFRA / "postgres" / name, self.data / name)
            self._give_away(self.data / name)
        return remark

    def _create_cluster(self, password: str) -> None:
        """Created beside its place and then moved, so that a half-made folder is never taken for a cluster."""
        draft = self.data.with_name("postgres.new")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        with tempfile.NamedTemporaryFile("w", dir=self.data.parent) as file:
            file.write(password)
            file.flush()
            self._give_away(Path(file.name))
            options = ("--username=postgres", "--auth=scram-sha-256", f"--pwfile={file.name}")
            locale = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
            command = self.command("initdb", f"--pgdata={draft}", *options, *locale, "--no-instructions")
            made = subprocess.run(command, capture_output=True, text=True, cwd=self.data.parent, check=False)
        if made.returncode != 0:
            raise StepFailed(f"initdb failed: {(made.stderr or made.stdout).strip()}")
        draft.rename(self.data)

    def _give_away(self, file: Path) -> None:
        if self.way == "user":
            os.chown(file, pwd.getpwnam(UNPRIVILEGED).pw_uid, -1)

    def remove(self) -> None:
        if self.home is not None:
            shutil.rmtree(self.home)


def runner(layout: Layout, chosen: str) -> PostgresRunner:
    """The way in which PostgreSQL runs here; `chosen` is POSTGRES_AS, or nothing."""
    if chosen and chosen not in WAYS:
        raise StepFailed(f"POSTGRES_AS={chosen} is none of: {', '.join(WAYS)}")
    way = chosen or _way_of_the_data(layout) or _way_that_works()
    if _way_of_the_data(layout) not in ("", way) and "user" in (way, _way_of_the_data(layout)):
        raise StepFailed(f"POSTGRES_AS={way}: this stack's data were made in another way; make reset deletes them")
    if way == "user":
        return _runner_as_user(layout)
    return PostgresRunner(way, engines.postgres_folder(), layout.data / "postgres")


def _way_of_the_data(layout: Layout) -> str:
    """How the data that are there were made, as each way keeps them in another place; "" for a new stack."""
    if _user_home(layout).exists():
        return "user"
    if (layout.data / "postgres").exists():
        return "namespace" if os.geteuid() == 0 else "self"
    return ""


def _way_that_works() -> str:
    if os.geteuid() != 0:
        return "self"
    if engines.unshare() is None:
        return "user"
    allowed = subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    return "namespace" if allowed else "user"


def _user_home(layout: Layout) -> Path:
    """One for each stack's folder; a hash, as the folder's own path may be private."""
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
        # The wheel's shared libraries lie beside the package, and its programs look for them there.
        for libraries in installation.parent.parent.glob(f"{installation.parent.name}.libs"):
            shutil.copytree(libraries, draft / libraries.name)
        draft.rename(copy)
    home.chmod(0o755)
    data_home = home / "data"
    data_home.mkdir(exist_ok=True, mode=0o700)
    who = pwd.getpwnam(UNPRIVILEGED)
    os.chown(data_home, who.pw_uid, who.pw_gid)
    copied_programs = copy / "package" / installation.name / programs.name
    return PostgresRunner("user", copied_programs, data_home / "postgres", home)
