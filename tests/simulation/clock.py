"""An event loop with virtual time: waiting takes no real time, and nothing outside of the program can be awaited.

`asyncio.timeout`, `asyncio.Event` and the rest work unchanged. When every task waits, the clock jumps
to the next timer. If there is no timer, the program can never continue: that is a Deadlock.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")

RESOLUTION_SECONDS = 1e-9

TaskFactory = Callable[..., "asyncio.Task[Any]"]


class Deadlock(Exception):
    """Every task waits, and no timer will ever wake one."""


class _Timers:
    """Replaces the selector: it does not wait for `timeout` seconds, but adds them to the time."""

    def __init__(self) -> None:
        self.now = 0.0

    def select(self, timeout: float | None) -> tuple[()]:
        if timeout is None:
            raise Deadlock("every task waits, and there is no timer left")
        self.now += max(0.0, timeout)
        return ()


class VirtualLoop(asyncio.BaseEventLoop):
    """Without sockets, pipes or threads. It is deterministic if the code that runs on it is."""

    def __init__(self, task_factory: TaskFactory | None = None) -> None:
        super().__init__()
        self._selector = _Timers()
        self._clock_resolution = RESOLUTION_SECONDS
        if task_factory:
            self.set_task_factory(task_factory)

    def time(self) -> float:
        return self._selector.now

    def _process_events(self, events: tuple[()]) -> None:
        """There are none: no file is watched."""

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Runs `main` to its end and closes the loop."""
        try:
            return self.run_until_complete(main)
        finally:
            self.close()


async def pass_time(seconds: float) -> None:
    """Waits in virtual time. Used for the simulation's own delays; the program has asyncio.sleep."""
    loop = asyncio.get_running_loop()
    woken = loop.create_future()
    loop.call_later(seconds, _wake, woken, context=_EMPTY)
    await woken


class Signal:
    """Wakes the tasks that wait for something to happen, which is cheaper than polling."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def fire(self) -> None:
        waiting, self._waiting = self._waiting, []
        for woken in waiting:
            _wake(woken)

    async def wait(self, seconds: float) -> None:
        """Returns when it fires, or after `seconds`."""
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        self._waiting.append(woken)
        timer = loop.call_later(seconds, _wake, woken, context=_EMPTY)
        try:
            await woken
        finally:
            timer.cancel()


_EMPTY = Context()


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
