"""The supervisor: its configuration, and its remote interface.

Supervisor starts a process again whenever it ends. One that ends within a second of its start is tried again after 1,
2, 3 ... seconds without ever being given up, so a stack that lost an engine for an hour comes back by itself.
"""

import http.client
import os
import pwd
import shlex
import subprocess
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from infra.native import engines
from infra.native.components import Component
from infra.native.layout import CHECKOUT, Layout
from infra.native.ports import HOST
from infra.steps import StepFailed, poll

MARKER = "STACK_FOLDER"
"""In the environment of the supervisor and all that it starts: by it a stack's processes are known, never by name."""

LOG_BYTES, LOG_FILES = 10_000_000, 3
"""A component's log takes at most LOG_BYTES * (LOG_FILES + 1)."""

ALREADY_STARTED, NOT_RUNNING = 60, 70
UP = frozenset({"STARTING", "RUNNING", "BACKOFF"})
ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class ProcessState:
    """What the supervisor knows of one process; times are seconds."""

    state: str
    pid: int
    uptime: int
    complaint: str


def render(layout: Layout, components: Sequence[Component], port: int, password: str) -> str:
    """The supervisor's configuration file. It holds secrets and belongs in a file of mode 600."""
    parts = [_supervisor_section(layout, port, password), *(_program_section(layout, part) for part in components)]
    return "\n".join(parts)


def _supervisor_section(layout: Layout, port: int, password: str) -> str:
    user = f"user={pwd.getpwuid(os.geteuid()).pw_name}\n" if os.geteuid() == 0 else ""
    return f"""[supervisord]
nodaemon=true
{user}directory={_plain(CHECKOUT)}
logfile={_plain(layout.logs / "supervisor.log")}
logfile_maxbytes={LOG_BYTES}
logfile_backups={LOG_FILES}
pidfile={_plain(layout.run / "supervisor.pid")}
childlogdir={_plain(layout.logs)}
strip_ansi=false
minfds=1024

[inet_http_server]
port={HOST}:{port}
username=stack
password={password}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""


def _program_section(layout: Layout, component: Component) -> str:
    environment = ",".join(f'{name}="{_plain(value)}"' for name, value in sorted(component.environment.items()))
    return f"""[program:{component.name}]
command={_plain(shlex.join(component.command))}
environment={environment}
directory={_plain(component.folder)}
autostart=false
autorestart=true
startsecs=1
startretries=1000000
stopsignal={component.stop_signal}
stopwaitsecs={component.stop_seconds}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile={_plain(layout.log_of(component.name))}
stdout_logfile_maxbytes={LOG_BYTES}
stdout_logfile_backups={LOG_FILES}
"""


def _plain(value: object) -> str:
    """As supervisor's file wants it: `%` begins an expression there."""
    return str(value).replace("%", "%%")


def environment_of_supervisor(layout: Layout) -> dict[str, str]:
    """A bare environment, the same whoever calls: what a process needs is written in its own section."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR") if name in os.environ}
    return kept | {MARKER: str(layout.folder), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


class _Transport(xmlrpc.client.Transport):
    """One that gives up: another program on the port may take a connection and never answer."""

    def make_connection(self, host: "xmlrpc.client._HostType") -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = ANSWER_SECONDS
        return connection


BESIDE_US = '"$0" "$@" >/dev/null & echo $!'
"""A shell that is gone at once: the supervisor is nobody's child, so nobody has to wait for it."""


class Supervisor:
    """The running supervisor of one stack."""

    def __init__(self, layout: Layout, port: int, password: str) -> None:
        self._layout = layout
        self._address = f"http://stack:{password}@{HOST}:{port}/RPC2"

    def _call(self, method: str, *arguments: object) -> Any:
        with xmlrpc.client.ServerProxy(self._address, _Transport(), allow_none=True) as proxy:
            return getattr(proxy, method)(*arguments)

    def is_up(self) -> bool:
        try:
            return bool(self._call("supervisor.getState")["statename"] == "RUNNING")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False

    def launch(self) -> None:
        """Start it in a session of its own, so that closing the terminal or Ctrl-C does not reach it."""
        config = str(self._layout.run / "supervisord.conf")
        errors = self._layout.logs / "supervisor.err"
        with errors.open("wb") as stderr:
            started = subprocess.run(
                ["sh", "-c", BESIDE_US, str(engines.supervisord()), "-c", config],
                cwd=CHECKOUT,
                env=environment_of_supervisor(self._layout),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
                check=True,
            )
        pid = int(started.stdout)

        def check() -> None:
            if not psutil.pid_exists(pid):
                raise StepFailed(f"the supervisor ended at once: {errors.read_text().strip()}")
            if not self.is_up():
                raise TimeoutError("the supervisor does not answer")

        poll(check, within=15.0)

    def apply_configuration(self) -> list[str]:
        """Take the written configuration over; the processes whose section changed are stopped. Answers their names."""
        [[added, changed, removed]] = self._call("supervisor.reloadConfig")
        for name in [*changed, *removed]:
            self.stop([name])
            self._call("supervisor.removeProcessGroup", name)
        for name in [*changed, *added]:
            self._call("supervisor.addProcessGroup", name)
        return [str(name) for name in changed]

    def states(self) -> Mapping[str, ProcessState]:
        return {
            info["name"]: ProcessState(info["statename"], info["pid"], info["now"] - info["start"], info["spawnerr"])
            for info in self._call("supervisor.getAllProcessInfo")
        }

    def start(self, name: str) -> None:
        """Nothing happens to one that runs; one that waits for its next attempt does not have to wait any longer."""
        if self.states()[name].state == "BACKOFF":
            self.stop([name])
        self._tolerating(ALREADY_STARTED, "supervisor.startProcess", name, False)

    def stop(self, names: Sequence[str]) -> None:
        """Ask all to stop, and wait; the supervisor itself kills what outlives its time."""
        for name in names:
            self._tolerating(NOT_RUNNING, "supervisor.stopProcess", name, False)

        def check() -> None:
            states = self.states()
            left = [name for name in names if states[name].state not in ("STOPPED", "EXITED", "FATAL")]
            if left:
                raise TimeoutError(f"still running: {', '.join(left)}")

        poll(check, within=60.0, every=0.05)

    def shut_down(self) -> None:
        self._call("supervisor.shutdown")

    def _tolerating(self, code: int, method: str, *arguments: object) -> None:
        try:
            self._call(method, *arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != code:
                raise
