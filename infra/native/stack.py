"""One stack of local processes, by name: up, down, and a hold on each of its processes."""

import fcntl
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from infra import credentials, ready_message, steps
from infra.native import ports, processes
from infra.native.components import COMPONENTS, STOP_STAGES, Blueprint, Component
from infra.native.layout import STACKS, Layout
from infra.native.postgres import PostgresRunner, runner
from infra.native.startup import SERVICE_SECONDS, Startup
from infra.native.supervision import UP, ProcessState, Supervisor, render

DEFAULT_NAME = "main"
NAME_PATTERN = re.compile(r"[a-z][a-z0-9-]{0,30}")
RESERVED_NAMES = frozenset({"jars"})


class Stack:
    """The stack of a name. Holding one starts nothing; up() does, down() ends it, reset() deletes its data."""

    def __init__(self, name: str, settings: Mapping[str, str] = os.environ) -> None:
        if not NAME_PATTERN.fullmatch(name) or name in RESERVED_NAMES:
            raise steps.StepFailed(f"NAME={name}: a stack's name is lower-case letters, digits and hyphens")
        self.name = name
        self.layout = Layout(STACKS / name)
        self._settings = settings

    @classmethod
    def load(cls, name: str = DEFAULT_NAME) -> "Stack":
        return cls(name)

    @property
    def folder(self) -> Path:
        return self.layout.folder

    def up(self) -> None:
        """Start what does not run and wait until an event flows; changes nothing in a stack that runs."""
        began = steps.command_start()
        self.layout.create()
        with self._alone():
            self._end_orphans()
            self._choose_ports()
            self._write_configuration()
            if self._supervisor.is_up():
                self._supervisor.apply_configuration()
            else:
                self._supervisor.launch()
            steps.run(Startup(self._blueprint, self._supervisor).steps())
        print(ready_message.message(self.name, self.ports, time.time() - began))

    def down(self) -> None:
        """Stop everything, clients before servers, and leave no process behind, whoever started it."""
        if not self.folder.exists():
            return
        with self._alone():
            self._down()

    def reset(self) -> None:
        """Stop everything and delete the stack's folder: data, logs, secrets and ports."""
        if not self.folder.exists():
            return
        with self._alone():
            self._down()
            self._postgres_of_the_data.remove()
            shutil.rmtree(self.folder)

    @property
    def ports(self) -> Mapping[str, int]:
        return ports.recall(self.layout.ports)

    def port(self, component: str) -> int:
        return self.ports[component]

    def environment(self, component: str) -> Mapping[str, str]:
        """What the stack puts into a component's environment; no process needs to run for it."""
        return self._component(component).environment

    def states(self) -> Mapping[str, ProcessState]:
        """All components; nothing while the stack is down."""
        return self._supervisor.states() if self.ports and self._supervisor.is_up() else {}

    def pid(self, component: str) -> int:
        """0 while it does not run."""
        state = self.states().get(component)
        return state.pid if state else 0

    def signal(self, component: str, number: signal.Signals) -> None:
        pid = self.pid(component)
        if pid == 0:
            raise ProcessLookupError(f"{component} does not run")
        os.kill(pid, number)

    def migrate(self) -> str:
        """Apply the migrations that are missing; answers which."""
        return Startup(self._blueprint, self._supervisor).schema()

    def start(self, component: str) -> None:
        """Ask for a start; wait_ready() tells when it is done."""
        self._supervisor.start(component)

    def stop(self, component: str) -> None:
        """Stop one component; the supervisor leaves it down until start() or up()."""
        self._supervisor.stop([component])

    def wait_ready(self, *components: str, within: float = SERVICE_SECONDS) -> None:
        """Wait until the named components, or all of them, answer."""
        startup = Startup(self._blueprint, self._supervisor)
        for component in components or COMPONENTS:
            startup.ready(component, within)

    @cached_property
    def _postgres(self) -> PostgresRunner:
        return runner(self.layout, self._settings.get("POSTGRES_AS", ""))

    @property
    def _postgres_of_the_data(self) -> PostgresRunner:
        """What is there is stopped and deleted in its own way, whatever POSTGRES_AS says now."""
        return runner(self.layout, "")

    @property
    def _blueprint(self) -> Blueprint:
        return Blueprint(
            self.layout, self.ports, credentials.ensure(self.layout.secrets), self._postgres, self._settings
        )

    @property
    def _supervisor(self) -> Supervisor:
        password = credentials.ensure(self.layout.secrets)["SUPERVISOR_PASSWORD"]
        return Supervisor(self.layout, self.port("supervisor"), password)

    def _component(self, name: str) -> Component:
        return next(part for part in self._blueprint.components() if part.name == name)

    def _choose_ports(self) -> None:
        running = [name for name, state in self.states().items() if state.state in UP]
        if running:
            running += ["supervisor", "kafka-controller"]
        plan = ports.PortPlan(self.name == DEFAULT_NAME, self._settings)
        taken = ports.of_other_stacks(STACKS, self.layout.ports)
        chosen = ports.choose(plan, self.ports, running, taken)
        if chosen != self.ports:
            ports.remember(self.layout.ports, chosen)

    def _write_configuration(self) -> None:
        password = credentials.ensure(self.layout.secrets)["SUPERVISOR_PASSWORD"]
        text = render(self.layout, self._blueprint.components(), self.port("supervisor"), password)
        file = self.layout.run / "supervisord.conf"
        file.touch(mode=0o600)
        file.write_text(text)

    def _down(self) -> None:
        if self.ports and self._supervisor.is_up():
            for stage in STOP_STAGES:
                self._supervisor.stop([name for name in stage if name in self._supervisor.states()])
            self._supervisor.shut_down()
        processes.end(processes.of_stack(self.folder, self._postgres_of_the_data.data))

    def _end_orphans(self) -> None:
        """End what outlived a killed supervisor: nobody would restart it, and it holds ports and data."""
        if not (self.ports and self._supervisor.is_up()):
            processes.end(processes.of_stack(self.folder, self._postgres_of_the_data.data))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One command at a time for each stack; a second one waits."""
        with self.layout.lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
