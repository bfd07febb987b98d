"""When a generation of the view may replace the live one."""

import pytest

from services.history.generations import Generations, has_caught_up, is_level


@pytest.mark.parametrize("end_before", [None, 7, 100])
def test_a_generation_with_nothing_left_has_caught_up(end_before: int | None) -> None:
    # Even if the stream ends with events that this consumer does not subscribe to.
    assert has_caught_up(left=0, acknowledged=9, end_before=end_before)


def test_under_a_steady_flow_it_has_caught_up_with_the_end_of_the_look_before() -> None:
    assert has_caught_up(left=40, acknowledged=100, end_before=100)


def test_a_message_without_ack_before_that_end_means_that_it_has_not_caught_up() -> None:
    assert not has_caught_up(left=1, acknowledged=99, end_before=100)


def test_at_the_first_look_a_generation_with_something_left_has_not_caught_up() -> None:
    assert not has_caught_up(left=1, acknowledged=100, end_before=None)


@pytest.mark.parametrize(("left", "acknowledged", "level"), [(5, 100, True), (6, 99, False), (0, 90, True)])
def test_a_generation_is_level_if_it_has_all_that_was_delivered_to_the_live_one(
    left: int, acknowledged: int, level: bool
) -> None:
    assert is_level(left, acknowledged, delivered_live=100) is level


def test_the_live_generation_and_the_one_being_built_are_wanted() -> None:
    assert Generations().wanted == []
    assert Generations(building="b").wanted == ["b"]
    assert Generations(live="a", building="b").wanted == ["a", "b"]
