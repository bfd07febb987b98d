"""The supervisor: its configuration, and its remote interface.

Supervisor restarts every process that ends. A process that ends within a second of its start is restarted after 1, 2, 3
... seconds, without a limit, so a stack recovers by itself after an engine was down for an hour.
"""

import base64
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
"""A variable in the environment of the supervisor and its processes: it marks the processes of a stack."""

LOG_BYTES, LOG_FILES = 10_000_000, 3
"""The logs of a component take at most LOG_BYTES * (LOG_FILES + 1)."""

USER = "stack"
ALREADY_STARTED, NOT_RUNNING = 60, 70
UP = frozenset({"STARTING", "RUNNING", "BACKOFF"})
ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class ProcessState:
    """The state of one process.

    Attributes:
        state: the supervisor's word, such as RUNNING or BACKOFF.
        pid: 0 while it does not run.
        uptime: seconds.
        error: why it could not be started, or "".
    """

    state: str
    pid: int
    uptime: int
    error: str


def render(layout: Layout, components: Sequence[Component], port: int, password: str) -> str:
    """The text of the supervisor's configuration. It holds secrets: its file needs mode 600."""
    parts = [_supervisor_section(layout, port, password), *(_program_section(layout, part) for part in components)]
    return "\n".join(parts)


def _supervisor_section(layout: Layout, port: int, password: str) -> str:
    user = f"user={pwd.getpwuid(os.geteuid()).pw_name}\n" if os.geteuid() == 0 else ""
    return f"""[supervisord]
nodaemon=true
{user}directory={_escaped(CHECKOUT)}
logfile={_escaped(layout.logs / "supervisor.log")}
logfile_maxbytes={LOG_BYTES}
logfile_backups={LOG_FILES}
pidfile={_escaped(layout.run / "supervisor.pid")}
childlogdir={_escaped(layout.logs)}
strip_ansi=false
minfds=1024

[inet_http_server]
port={HOST}:{port}
username={USER}
password={password}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""


def _program_section(layout: Layout, component: Component) -> str:
    environment = ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(component.environment.items()))
    return f"""[program:{component.name}]
command={_escaped(shlex.join(component.command))}
environment={environment}
directory={_escaped(component.folder)}
autostart=false
autorestart=true
startsecs=1
startretries=1000000
stopsignal={component.stop_signal}
stopwaitsecs={component.stop_seconds}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile={_escaped(layout.log_of(component.name))}
stdout_logfile_maxbytes={LOG_BYTES}
stdout_logfile_backups={LOG_FILES}
"""


def _escaped(value: object) -> str:
    """The value as the configuration file needs it: `%` starts an expression there."""
    return str(value).replace("%", "%%")


def environment_of_supervisor(layout: Layout) -> dict[str, str]:
    """A minimal environment that does not depend on the caller's; each process has its own variables beside it."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR") if name in os.environ}
    return inherited | {MARKER: str(layout.folder), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


class _Transport(xmlrpc.client.Transport):
    """A transport with a time limit: another program on the port may accept a connection and never answer."""

    def make_connection(self, host: "xmlrpc.client._HostType") -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = ANSWER_SECONDS
        return connection


DETACHED = '"$0" "$@" >/dev/null & echo $!'
"""Starts the supervisor from a shell that prints its process id and ends: the supervisor is not our child."""


class Supervisor:
    """The running supervisor of one stack."""

    def __init__(self, layout: Layout, port: int, password: str) -> None:
        self._layout = layout
        self._address = f"http://{HOST}:{port}/RPC2"
        # In a header: an error of xmlrpc shows the address, and a password in it.
        login = base64.b64encode(f"{USER}:{password}".encode()).decode("ascii")
        self._headers = [("Authorization", f"Basic {login}")]

    def _call(self, method: str, *arguments: object) -> Any:
        with xmlrpc.client.ServerProxy(self._address, _Transport(headers=self._headers), allow_none=True) as proxy:
            return getattr(proxy, method)(*arguments)

    def is_up(self) -> bool:
        try:
            return bool(self._call("supervisor.getState")["statename"] == "RUNNING")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False

    def launch(self) -> None:
        """Starts the supervisor in a session of its own, where Ctrl-C and a closed terminal do not reach it."""
        config = str(self._layout.run / "supervisord.conf")
        errors = self._layout.logs / "supervisor.err"
        with errors.open("wb") as stderr:
            started = subprocess.run(
                ["sh", "-c", DETACHED, str(engines.supervisord()), "-c", config],
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
        """Reads the written configuration again and stops the processes whose section changed; returns their names."""
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
        """Starts a process without waiting; a running one is not touched, a waiting restart happens at once."""
        if self.states()[name].state == "BACKOFF":
            self.stop([name])
        self._tolerating(ALREADY_STARTED, "supervisor.startProcess", name, False)

    def stop(self, names: Sequence[str]) -> None:
        """Stops the processes and waits; the supervisor kills those that exceed their time."""
        for name in names:
            self._tolerating(NOT_RUNNING, "supervisor.stopProcess", name, False)

        def check() -> None:
            states = self.states()
            running = [name for name in names if states[name].state not in ("STOPPED", "EXITED", "FATAL")]
            if running:
                raise TimeoutError(f"still running: {', '.join(running)}")

        poll(check, within=60.0, every=0.05)

    def shut_down(self) -> None:
        self._call("supervisor.shutdown")

    def _tolerating(self, code: int, method: str, *arguments: object) -> None:
        try:
            self._call(method, *arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != code:
                raise
