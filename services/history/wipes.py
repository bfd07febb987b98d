"""Noticing that the view was wiped while the service runs."""

import asyncio
import logging
from collections.abc import Callable

from services.history.views import TRANSIENT_ERRORS, Views

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0


async def notice_wipes(views: Views, start_over: Callable[[], None]) -> None:
    """Looks every `LOOK_SECONDS`, until cancelled, whether the view is still the one that was prepared.

    Nothing else would tell: writes go on into the empty database as if nothing had happened.
    """
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            if await views.is_wiped():
                log.warning("the view was wiped: it is filled again from the beginning of the stream")
                start_over()
        except TRANSIENT_ERRORS as error:
            log.debug("MongoDB cannot be asked right now: %s", error)
