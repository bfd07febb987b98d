"""Processes that can be killed between any two steps, and started again.

Whatever a process starts (tasks, connections) belongs to its present life, and ends with it. A task
that goes on regardless is stopped by `Crashed` at its next input or output.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from tests.simulation.clock import pass_time
from tests.simulation.world import Crashed, World

Main = Callable[["Life"], Awaitable[None]]

_life: contextvars.ContextVar["Life | None"] = contextvars.ContextVar("life", default=None)


class Life:
    """One life of a process: from its start to its end, by whatever cause."""

    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self.world = world
        self.ended = False
        self._tasks: list[asyncio.Task[Any]] = []
        self._last_will: list[Callable[[], None]] = []

    def on_end(self, action: Callable[[], None]) -> None:
        """What the others see when the process is gone, e.g. its connections break."""
        self._last_will.append(action)

    async def io(self) -> None:
        """On the way to or from another part: takes a while, and never arrives in a dead process."""
        self.check()
        await self.world.pause()
        self.check()

    async def wait(self, seconds: float) -> None:
        """Does nothing for a while."""
        await pass_time(seconds)
        self.check()

    def check(self) -> None:
        if self.ended:
            raise Crashed(self.name)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        self._tasks.append(task)
        if len(self._tasks) > 100:
            self._tasks = [task for task in self._tasks if not task.done()]

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Runs work as this process, e.g. the handling of a request."""
        return _in_context_of(self).run(asyncio.get_running_loop().create_task, work)

    def end(self) -> None:
        self.ended = True
        for task in self._tasks:
            task.cancel()
        for action in self._last_will:
            action()


def _in_context_of(life: Life) -> contextvars.Context:
    context = contextvars.copy_context()
    context.run(_life.set, life)
    return context


def current_life() -> Life | None:
    """The process whose code is running, if it is one's."""
    return _life.get()


async def together(life: Life, *works: Coroutine[Any, Any, None]) -> None:
    """A process's concurrent works; the first one's end or error is the process's."""
    tasks = [life.run(work) for work in works]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task.done():
            task.result()


def task_factory(
    loop: asyncio.AbstractEventLoop, work: Any, context: contextvars.Context | None = None
) -> asyncio.Task[Any]:
    """Notes whose task it is. (asyncio's own registry is a set, whose order differs from run to run.)"""
    task = asyncio.Task(work, loop=loop, context=context)
    life = context.get(_life) if context else _life.get()
    if life:
        life.adopt(task)
    return task


class Process:
    """Something that is started, killed and started again: a service, a bridge, a connector task."""

    def __init__(self, name: str, world: World, main: Main | None = None) -> None:
        self.name = name
        self._world = world
        self.main = main
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
            assert self.main is not None
            await self.main(life)
        except Exception as error:  # noqa: BLE001 - no error may end a process
            self._world.violate(f"{self.name} ended by {error!r}")
        if self.life is life:
            self._world.note(self.name, "has stopped")
            self.life = None
            life.end()
