"""Serving an application with uvicorn, the same way for all services."""

import gc
import logging
import sys

import uvicorn
from starlette.types import ASGIApp

from runtime.settings import ServerSettings
from runtime.workers import GRACE_SECONDS

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

GARBAGE_THRESHOLD = 20_000
"""Allocations between two collections. A batch in hand is about ten thousand live objects; with Python's default of
700 the collector scans them again and again, which took a tenth of a consumer's time."""


def serve(app: ASGIApp, settings: ServerSettings) -> None:
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
