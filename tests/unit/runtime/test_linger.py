import pytest

from runtime.linger import Linger

LINGER = Linger(per_item=3.0, multiple=6.0, longest=16.0, full_batch=100)


@pytest.mark.parametrize(
    ("items", "duration", "pause"),
    [
        pytest.param(1, 1.0, 2.0, id="a lone item delays the next batch by its own share"),
        pytest.param(5, 2.0, 10.0, id="the share of each item limits the pause after a slow batch"),
        pytest.param(50, 2.0, 10.0, id="the duration limits the pause after a quick batch"),
        pytest.param(50, 4.0, 12.0, id="the longest linger limits every pause"),
        pytest.param(50, 20.0, 0.0, id="a batch that took longer than its linger is followed at once"),
        pytest.param(100, 1.0, 0.0, id="a full batch is followed at once"),
    ],
)
def test_the_pause_between_two_batches(items: int, duration: float, pause: float) -> None:
    assert LINGER.pause(items, duration) == pause
