"""Waiting out the faults of the surroundings."""

import logging
from collections.abc import Awaitable, Callable

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    before_sleep_log,
    retry_if_exception_type,
    stop_never,
    wait_exponential_jitter,
)

log = logging.getLogger(__name__)

FIRST_DELAY_SECONDS = 0.05
LONGEST_DELAY_SECONDS = 5.0


def until_possible(
    transient: tuple[type[Exception], ...],
    before_sleep: Callable[[RetryCallState], Awaitable[None] | None] | None = None,
) -> AsyncRetrying:
    """Attempts without an end while these errors come, with a growing, jittered delay; others are raised."""
    return AsyncRetrying(
        retry=retry_if_exception_type(transient),
        wait=wait_exponential_jitter(
            # The library's own jitter is a second: twenty times the first delay.
            multiplier=FIRST_DELAY_SECONDS,
            max=LONGEST_DELAY_SECONDS,
            jitter=FIRST_DELAY_SECONDS,
        ),
        stop=stop_never,
        before_sleep=before_sleep or before_sleep_log(log, logging.WARNING),
    )
