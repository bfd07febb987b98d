"""Processes that can be killed between any two steps, and started again.

Everything that a process starts (tasks, connections) belongs to its present life, and ends with it. A task
that survives its cancellation is stopped by `Crashed` at its next input or output.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from tests.simulation.clock import pass_time
from tests.simulation.world import Crashed, World

T = TypeVar("T")

Main = Callable[["Life"], Awaitable[None]]

_life: contextvars.ContextVar["Life | None"] = contextvars.ContextVar("life", default=None)


class Life:
    """One life of a process: from its start to its end, for any reason."""

    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self.world = world
        self.ended = False
        self._tasks: list[asyncio.Task[Any]] = []
        self._end_actions: list[Callable[[], None]] = []

    def on_end(self, action: Callable[[], None]) -> None:
        """Registers an effect that the end of the process has on others, e.g. its connections break."""
        self._end_actions.append(action)

    async def io(self) -> None:
        """One way to or from another part: takes a moment, and raises Crashed in a process that is dead."""
        self.check()
        await self.world.pause()
        self.check()

    async def wait(self, seconds: float) -> None:
        """Waits, and raises Crashed if the process is dead after that."""
        await pass_time(seconds)
        self.check()

    def check(self) -> None:
        if self.ended:
            raise Crashed(self.name)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        self._tasks.append(task)
        if len(self._tasks) > 100:
            self._tasks = [task for task in self._tasks if not task.done()]

    def run(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Runs work as a task of this process, e.g. the handling of a request."""
        return asyncio.get_running_loop().create_task(work, context=_in_context_of(self))

    def end(self) -> None:
        self.ended = True
        for task in self._tasks:
            task.cancel()
        for action in self._end_actions:
            action()


def _in_context_of(life: Life) -> contextvars.Context:
    context = contextvars.copy_context()
    context.run(_life.set, life)
    return context


def current_life() -> Life | None:
    """The process whose code is running; None for the simulation's own."""
    return _life.get()


def task_factory(
    loop: asyncio.AbstractEventLoop, work: Any, context: contextvars.Context | None = None
) -> asyncio.Task[Any]:
    """Notes which life a task belongs to. (asyncio's own registry is a set, whose order differs from run to run.)"""
    task = asyncio.Task(work, loop=loop, context=context)
    life = context.get(_life) if context else _life.get()
    if life:
        life.adopt(task)
    return task


class Process:
    """A program that is started, killed and started again: a service, a bridge, a connector task."""

    def __init__(self, name: str, world: World, main: Main) -> None:
        self.name = name
        self._world = world
        self._main = main
        self.life: Life | None = None

    def start(self) -> None:
        if self.life is None:
            self._world.note(self.name, "starts")
            self.life = life = Life(self.name, self._world)
            life.run(self._live(life))

    def kill(self) -> None:
        if self.life is not None:
            self._world.note(self.name, "is killed")
            life, self.life = self.life, None
            life.end()

    async def _live(self, life: Life) -> None:
        try:
            await self._main(life)
        except Exception as error:  # noqa: BLE001 - no error may end a process
            self._world.violate(f"{self.name} ended by {error!r}")
        if self.life is life:
            self._world.note(self.name, "has stopped")
            self.life = None
            life.end()
