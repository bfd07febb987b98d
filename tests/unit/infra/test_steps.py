"""Steps run as soon as those before them are done, and a failure is told without hiding the others."""

import threading

import pytest

from infra.steps import Step, StepFailed, poll, run


def test_a_step_runs_after_those_that_it_names() -> None:
    order: list[str] = []

    def work(name: str) -> str:
        order.append(name)
        return ""

    run(
        [
            Step("third", lambda: work("third"), after=("first", "second")),
            Step("second", lambda: work("second"), after=("first",)),
            Step("first", lambda: work("first")),
        ],
        say=lambda _: None,
    )
    assert order == ["first", "second", "third"]


def test_independent_steps_run_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=10)

    def meet() -> str:
        meeting.wait()
        return ""

    run([Step("one", meet), Step("other", meet)], say=lambda _: None)


def test_each_step_is_one_line_with_its_time_and_remark() -> None:
    lines: list[str] = []
    run([Step("kafka", lambda: "127.0.0.1:9092")], say=lines.append)
    [line] = lines
    assert line.split()[0] == "kafka"
    assert line.endswith("s  127.0.0.1:9092")


def fail(text: str) -> str:
    raise StepFailed(text)


def test_after_a_failure_nothing_new_begins_and_all_that_failed_is_told() -> None:
    begun: list[str] = []
    lines: list[str] = []

    def late() -> str:
        begun.append("late")
        return ""

    steps = [
        Step("bad", lambda: fail("no disk")),
        Step("late", late, after=("bad",)),
        Step("other", lambda: fail("no memory")),
    ]
    with pytest.raises(StepFailed) as failure:
        run(steps, say=lines.append)
    assert begun == []
    assert "no disk" in str(failure.value)
    assert "no memory" in str(failure.value)
    assert all("failed after" in line for line in lines)


def test_poll_returns_as_soon_as_the_check_passes() -> None:
    answers = iter([ValueError("not yet"), None])

    def check() -> None:
        if (error := next(answers)) is not None:
            raise error

    poll(check, within=10.0, every=0.0)


def test_poll_raises_the_last_error_when_time_is_over() -> None:
    def check() -> None:
        raise ValueError("never")

    with pytest.raises(ValueError, match="never"):
        poll(check, within=0.0)


def test_poll_gives_up_at_once_on_what_will_not_get_better() -> None:
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        raise StepFailed("hopeless")

    with pytest.raises(StepFailed):
        poll(check, within=60.0)
    assert calls == [1]
