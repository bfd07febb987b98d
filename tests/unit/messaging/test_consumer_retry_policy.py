import pytest

from messaging.consumer import RetryPolicy
from messaging.errors import NotYetVisible, Undecodable, UnknownEventType


def test_the_delay_doubles_up_to_the_longest() -> None:
    policy = RetryPolicy(first_delay=0.05, longest_delay=5.0)
    assert [policy.delay(failures) for failures in (1, 2, 3, 7, 8, 500)] == [0.05, 0.1, 0.2, 3.2, 5.0, 5.0]


@pytest.mark.parametrize(
    ("error", "retries"), [(ValueError(), 4), (NotYetVisible(), 19), (UnknownEventType(), 19), (Undecodable(), 0)]
)
def test_the_number_of_retries_depends_on_the_error(error: Exception, retries: int) -> None:
    policy = RetryPolicy()
    retried = [failures for failures in range(1, 30) if not policy.is_exhausted(failures, error)]
    assert retried == list(range(1, retries + 1))


def test_a_row_may_stay_invisible_for_a_little_more_than_a_minute() -> None:
    policy = RetryPolicy()
    assert 60 < sum(policy.delay(failures) for failures in range(1, policy.attempts_unseen)) < 90
