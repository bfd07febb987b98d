"""One stack of local processes, by its name: starts and stops it, and gives access to its components."""

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
from infra.native import ports, processes, registry
from infra.native.components import COMPONENTS, STOP_STAGES, Blueprint, Component
from infra.native.layout import STACKS, Layout
from infra.native.postgres import PostgresRunner, runner
from infra.native.startup import SERVICE_SECONDS, Startup
from infra.native.supervision import UP, ProcessState, Supervisor, render

DEFAULT_NAME = "main"
NAME_PATTERN = re.compile(r"[a-z][a-z0-9-]{0,30}")
RESERVED_NAMES = frozenset({"jars"})


class Stack:
    """The stack of a name. Creating the object starts nothing."""

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
        """Starts the components that do not run and waits until an event flows. Running components are not touched."""
        began = steps.command_start()
        self.layout.create()
        with self._locked():
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
        """Stops all components, clients before servers, and ends every other process of the stack."""
        if not self.folder.exists():
            return
        with self._locked():
            self._down()

    def reset(self) -> None:
        """Stops everything and deletes the stack's folder: data, logs, secrets and ports."""
        if not self.folder.exists():
            return
        with self._locked():
            self._down()
            self._postgres_of_the_data.remove()
            shutil.rmtree(self.folder)

    @property
    def ports(self) -> Mapping[str, int]:
        return ports.recall(self.layout.ports)

    def port(self, component: str) -> int:
        return self.ports[component]

    def environment(self, component: str) -> Mapping[str, str]:
        """The variables that the stack gives to a component, whether it runs or not."""
        return self._component(component).environment

    def states(self) -> Mapping[str, ProcessState]:
        """The states of all components by name; empty while the stack is down."""
        return self._supervisor.states() if self.ports and self._supervisor.is_up() else {}

    def pid(self, component: str) -> int:
        """The component's process id; 0 while it does not run."""
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
        """Starts a component without waiting; see wait_ready()."""
        self._supervisor.start(component)

    def stop(self, component: str) -> None:
        """Stops one component. The supervisor does not restart it until start() or up()."""
        self._supervisor.stop([component])

    def wait_ready(self, *components: str, within: float = SERVICE_SECONDS) -> None:
        """Waits until the named components, or all of them, answer; `within` seconds for each."""
        startup = Startup(self._blueprint, self._supervisor)
        for component in components or COMPONENTS:
            startup.ready(component, within)

    @cached_property
    def _postgres(self) -> PostgresRunner:
        return runner(self.layout, self._settings.get("POSTGRES_AS", ""))

    @property
    def _postgres_of_the_data(self) -> PostgresRunner:
        """Existing data are stopped and deleted in the mode that created them, whatever POSTGRES_AS says now."""
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
        with registry.locked() as stacks:
            taken = ports.remembered_in(stacks.others(self.layout.ports))
            chosen = ports.choose(plan, self.ports, running, taken)
            if chosen != self.ports:
                ports.remember(self.layout.ports, chosen)
            stacks.enter(self.layout.ports)

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
        """Ends processes that outlived a killed supervisor: they hold ports and data, and nothing restarts them."""
        if not (self.ports and self._supervisor.is_up()):
            processes.end(processes.of_stack(self.folder, self._postgres_of_the_data.data))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Runs one command at a time for each stack; a second one waits."""
        with self.layout.lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
