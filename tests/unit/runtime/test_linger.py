"""The rest between two batches: for a steady flow only, and never longer than it pays."""

import pytest

from runtime.linger import Pace

PACE = Pace(for_each=3.0, times=6.0, longest=16.0, enough=100)


@pytest.mark.parametrize(
    ("items", "took", "rest"),
    [
        pytest.param(1, 1.0, 2.0, id="a lone item holds the next one up for its own share only"),
        pytest.param(5, 2.0, 10.0, id="a quick batch is followed soon"),
        pytest.param(5, 2.5, 12.5, id="a slower one later"),
        pytest.param(50, 4.0, 12.0, id="but not later than the longest pace"),
        pytest.param(50, 20.0, 0.0, id="what took longer than its pace needs no rest"),
        pytest.param(100, 1.0, 0.0, id="nor does a batch that is large enough"),
    ],
)
def test_rest(items: int, took: float, rest: float) -> None:
    assert PACE.rest(items, took) == rest
