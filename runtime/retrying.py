"""Retrying what fails by a transient error, until it succeeds."""

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


def retry_transient(
    transient: tuple[type[Exception], ...],
    before_sleep: Callable[[RetryCallState], Awaitable[None] | None] | None = None,
) -> AsyncRetrying:
    """Attempts without end while one of these errors is raised, with exponential back-off and jitter.

    Any other error is raised at once.

    Args:
        transient: errors that pass by themselves, e.g. those of a database that restarts.
        before_sleep: called with each failed attempt; without it, each is logged as a warning.
    """
    return AsyncRetrying(
        retry=retry_if_exception_type(transient),
        wait=wait_exponential_jitter(
            multiplier=FIRST_DELAY_SECONDS,
            max=LONGEST_DELAY_SECONDS,
            # The library's default jitter is a second: twenty times the first delay.
            jitter=FIRST_DELAY_SECONDS,
        ),
        stop=stop_never,
        before_sleep=before_sleep or before_sleep_log(log, logging.WARNING),
    )
