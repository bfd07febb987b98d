import pytest
from tenacity import AsyncRetrying, RetryCallState

from runtime.retrying import until_possible


async def test_what_is_transient_is_tried_until_it_works() -> None:
    outcomes = iter([OSError(), TimeoutError(), None])
    async for attempt in until_possible((OSError,)):
        with attempt:
            error = next(outcomes)
            if error:
                raise error
    assert next(outcomes, "none left") == "none left"


async def test_any_other_error_is_raised_as_it_is() -> None:
    with pytest.raises(KeyError, match="missing"):
        await _fail(KeyError("missing"))


async def test_no_delay_is_longer_than_the_longest_nor_shorter_than_the_first() -> None:
    attempts = until_possible((OSError,))
    states = [_state_after(number) for number in (1, 2, 5, 100)]
    for state, (shortest, longest) in zip(states, [(0.05, 0.1), (0.1, 0.15), (0.8, 0.85), (5.0, 5.0)], strict=True):
        assert shortest <= attempts.wait(state) <= longest


async def _fail(error: Exception) -> None:
    async for attempt in until_possible((OSError,)):
        with attempt:
            raise error


def _state_after(number: int) -> RetryCallState:
    state = RetryCallState(AsyncRetrying(), None, (), {})
    state.attempt_number = number
    return state
