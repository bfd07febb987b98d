"""The rate at which a component works through its backlog."""

from bench.isolated import completion_rate, rate_of


def test_the_rate_leaves_out_the_start_of_the_process_and_the_events_until_the_first_sample() -> None:
    assert rate_of([(100.0, 0), (103.0, 500), (104.0, 1500), (105.0, 2500)]) == 1000


def test_the_rate_of_a_backlog_that_is_done_at_the_first_sample_counts_from_the_sample_before() -> None:
    assert rate_of([(100.0, 0), (100.5, 1000)]) == 2000


async def test_the_count_is_polled_until_it_reaches_the_target() -> None:
    counts = iter([0, 0, 10, 20, 30])

    async def count() -> int:
        return next(counts)

    assert await completion_rate(count, 30) > 0
    assert next(counts, None) is None
