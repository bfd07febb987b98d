"""Workers: the parts of a service that run beside its HTTP side, from its start to its stop."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

log = logging.getLogger(__name__)

GRACE_SECONDS = 10
"""How long a worker may take to end after `stop`, before it is cancelled."""

CANCEL_ATTEMPTS = 5
CANCEL_SECONDS = 1.0


class Worker(Protocol):
    """Something that runs until it is stopped: a consumer, the bridge's relay, housekeeping."""

    @property
    def fault(self) -> str | None:
        """Why no work is done at the moment, in words for an operator; None while all is well."""

    async def run(self) -> None:
        """Works until `stop`. Faults that pass are retried inside; any other error is raised and ends the process.

        Returning before `stop` ends the process, too.
        """

    def stop(self) -> None:
        """Asks `run` to finish what it has begun and to return. Harmless before `run` and when called twice."""


def terminate() -> None:
    """Ends this process in good order, as the supervisor's SIGTERM does."""
    os.kill(os.getpid(), signal.SIGTERM)


@asynccontextmanager
async def running(workers: Mapping[str, Worker], end_process: Callable[[], None] = terminate) -> AsyncIterator[None]:
    """Runs workers; on the way out stops them in reverse order and waits for each.

    A worker that ends before it is stopped ends the whole process, also if it ends without an error or was cancelled.
    The supervisor then starts it again, so no service answers requests while one of its workers is dead.

    Args:
        workers: by name, for the log.
        end_process: ends the process that runs the workers.
    """
    async with AsyncExitStack() as started:
        for name, worker in workers.items():
            await started.enter_async_context(_running(name, worker, end_process))
        yield


@asynccontextmanager
async def _running(name: str, worker: Worker, end_process: Callable[[], None]) -> AsyncIterator[None]:
    task = asyncio.create_task(worker.run(), name=name)
    stopping = False

    def on_end(task: asyncio.Task[None]) -> None:
        if not stopping or _error_of(task):
            _log_end(task)
            end_process()

    task.add_done_callback(on_end)
    try:
        yield
    finally:
        stopping = True
        worker.stop()
        await asyncio.wait({task}, timeout=GRACE_SECONDS)
        await _cancel(task)


async def _cancel(task: asyncio.Task[None]) -> None:
    # More than once: before Python 3.12, wait_for drops a cancellation that arrives together with its result.
    for _ in range(CANCEL_ATTEMPTS):
        if task.done():
            return
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_SECONDS)
    if not task.done():
        log.error("worker %s does not end after it was cancelled; it is abandoned", task.get_name())


def _error_of(task: asyncio.Task[None]) -> BaseException | None:
    return None if task.cancelled() else task.exception()


def _log_end(task: asyncio.Task[None]) -> None:
    error = _error_of(task)
    how = "failed" if error else "was cancelled" if task.cancelled() else "returned"
    log.critical("worker %s %s; the process ends and is started again", task.get_name(), how, exc_info=error)
