"""Running a service: settings, log and uvicorn, the same for all."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import uvicorn
from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.applications import Starlette

log = logging.getLogger(__name__)

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
GRACE_SECONDS = 10

# A batch in hand is some ten thousand objects, none of them garbage: looking through them every 700 new ones, as Python
# does by itself, takes a tenth of a consumer's time.
GARBAGE_THRESHOLD = 20_000
CANCEL_ATTEMPTS = 5


class ServerSettings(BaseSettings):
    """What every service is told by its environment; read once at start, then frozen."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    http_host: str = "127.0.0.1"
    http_port: int
    log_level: str = "INFO"


S = TypeVar("S", bound=ServerSettings)


def read_settings(settings: type[S]) -> S:
    """Reads the environment; a missing or wrong variable ends the process with its name."""
    try:
        return settings()
    except ValidationError as error:
        for fault in error.errors():
            name = str(fault["loc"][0]).upper()
            print(f"setting {name}: {fault['msg'].lower()} (an environment variable)", file=sys.stderr)  # noqa: T201
        sys.exit(2)


def serve(app: Starlette, settings: ServerSettings) -> None:
    """Runs the app until SIGTERM or SIGINT."""
    gc.set_threshold(GARBAGE_THRESHOLD)
    logging.basicConfig(level=settings.log_level.upper(), format=LOG_FORMAT, stream=sys.stderr)
    uvicorn.run(
        app,
        host=settings.http_host,
        port=settings.http_port,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


@asynccontextmanager
async def background(
    work: Coroutine[Any, Any, None], name: str, stop: Callable[[], None] | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    """Runs a part of the service beside its HTTP side.

    If it fails, the whole process is ended, so that it is started again instead of answering
    requests with half of it dead.

    Args:
        work: runs until it is stopped.
        name: for the log.
        stop: asks the work to finish what it has in hand and to end, for which it gets
            `GRACE_SECONDS`; without it, the work is cancelled at once.
    """
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_end_process_on_failure)
    try:
        yield task
    finally:
        if stop:
            stop()
            await asyncio.wait({task}, timeout=GRACE_SECONDS)
        await _cancel(task)


async def _cancel(task: asyncio.Task[None]) -> None:
    # More than once: before Python 3.12, wait_for drops a cancellation that comes together with its answer.
    for _ in range(CANCEL_ATTEMPTS):
        task.cancel()
        await asyncio.wait({task}, timeout=1.0)
        if task.done():
            return
    log.error("%s does not end; it is left behind", task.get_name())


def _end_process_on_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.critical("%s failed; the process ends to be started again", task.get_name(), exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)
