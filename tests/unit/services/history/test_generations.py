"""When a generation of the view may take the live one's place."""

import pytest

from messaging.progress import Progress
from services.history.generations import Generations, has_caught_up, is_level


@pytest.mark.parametrize("end_before", [None, 7, 100])
def test_with_nothing_left_it_has_caught_up_whatever_the_stream_had(end_before: int | None) -> None:
    # Also where the stream ends with events that are not for this consumer.
    assert has_caught_up(Progress(delivered=9, acknowledged=9, left=0), end_before)


def test_under_a_steady_flow_it_has_caught_up_with_what_was_there_at_the_look_before() -> None:
    busy = Progress(delivered=120, acknowledged=100, left=40)
    assert has_caught_up(busy, end_before=100)
    assert not has_caught_up(busy, end_before=101)


def test_what_was_handed_out_and_not_acknowledged_does_not_count() -> None:
    assert not has_caught_up(Progress(delivered=100, acknowledged=99, left=1), end_before=100)


def test_at_the_first_look_with_something_left_it_has_not_caught_up() -> None:
    assert not has_caught_up(Progress(delivered=100, acknowledged=100, left=1), end_before=None)


def test_it_is_level_with_all_that_was_handed_out_to_the_live_one() -> None:
    live = Progress(delivered=100, acknowledged=80, left=20)
    assert is_level(Progress(delivered=100, acknowledged=100, left=5), live)
    assert not is_level(Progress(delivered=100, acknowledged=99, left=6), live)
    assert is_level(Progress(delivered=90, acknowledged=90, left=0), live)


def test_the_live_generation_and_the_one_being_built_are_wanted() -> None:
    assert Generations().wanted == []
    assert Generations(building="b").wanted == ["b"]
    assert Generations(live="a", building="b").wanted == ["a", "b"]
