import pytest
from tenacity import AsyncRetrying, RetryCallState

from runtime.retrying import FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS, retry_transient
from tests.simulation.clock import VirtualLoop


async def test_a_transient_error_is_retried_until_the_attempt_succeeds() -> None:
    outcomes = iter([OSError(), TimeoutError(), None])
    async for attempt in retry_transient((OSError,)):
        with attempt:
            error = next(outcomes)
            if error:
                raise error
    assert next(outcomes, "none left") == "none left"


def test_a_transient_error_is_retried_for_longer_than_any_outage_lasts() -> None:
    attempts = 0

    async def succeed_at_the_thousandth() -> None:
        nonlocal attempts
        async for attempt in retry_transient((OSError,)):
            with attempt:
                attempts += 1
                if attempts < 1_000:
                    raise OSError

    VirtualLoop().run(succeed_at_the_thousandth())
    assert attempts == 1_000


async def test_any_other_error_is_raised_at_once() -> None:
    with pytest.raises(KeyError, match="missing"):
        await _fail(KeyError("missing"))


async def test_each_delay_doubles_from_the_first_to_the_longest_with_a_little_jitter() -> None:
    attempts = retry_transient((OSError,))
    for number, delay in [(1, FIRST_DELAY_SECONDS), (2, 0.1), (5, 0.8), (100, LONGEST_DELAY_SECONDS)]:
        assert delay <= attempts.wait(_state_after(number)) <= delay + FIRST_DELAY_SECONDS


async def _fail(error: Exception) -> None:
    async for attempt in retry_transient((OSError,)):
        with attempt:
            raise error


def _state_after(number: int) -> RetryCallState:
    state = RetryCallState(AsyncRetrying(), None, (), {})
    state.attempt_number = number
    return state
