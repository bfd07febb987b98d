"""The keeper complains once, says when it is over, and knows when the outboxes have to be sent again."""

import logging
from collections.abc import Iterator

import pytest

from infra.provision.keeper import Task
from infra.provision.lost_events import must_resend
from storage.migrate import MigrationFailed


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="keeper")
    return caplog


async def test_an_engine_that_is_away_is_complained_of_once_and_its_return_is_told(
    log: pytest.LogCaptureFixture,
) -> None:
    answers: Iterator[Exception | None] = iter([OSError("refused"), OSError("refused"), None, None])

    async def reconcile() -> list[str]:
        if (error := next(answers)) is not None:
            raise error
        return []

    task = Task("topics", reconcile)
    assert [await task.run() for _ in range(4)] == [False, False, True, True]
    assert log.messages == ["topics: not in order yet: OSError: refused", "topics: in order again"]


async def test_a_task_may_look_less_often_but_in_each_round_while_it_is_not_in_order() -> None:
    answers: Iterator[Exception | None] = iter([OSError("refused"), None, None])
    looked: list[int] = []

    async def reconcile() -> list[str]:
        looked.append(task.rounds)
        if (error := next(answers)) is not None:
            raise error
        return []

    task = Task("mongo", reconcile, every=3)
    for _ in range(6):
        await task.run()
    assert looked == [1, 2, 4]


async def test_a_migration_that_fails_is_complained_of_with_its_name_and_tried_again(
    log: pytest.LogCaptureFixture,
) -> None:
    answers: Iterator[Exception | None] = iter([MigrationFailed("0102_x.sql: Error: pq: out of luck"), None])

    async def reconcile() -> list[str]:
        if (error := next(answers)) is not None:
            raise error
        return ["order: applied 0102_x"]

    task = Task("schema", reconcile)
    assert [await task.run() for _ in range(2)] == [False, True]
    assert log.messages == [
        "schema: not in order yet: MigrationFailed: 0102_x.sql: Error: pq: out of luck",
        "schema: order: applied 0102_x",
        "schema: in order again",
    ]


async def test_a_fault_of_the_keeper_itself_is_not_swallowed() -> None:
    async def reconcile() -> list[str]:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        await Task("topics", reconcile).run()


def test_the_outboxes_are_sent_again_into_topics_that_were_made_anew_or_are_gone() -> None:
    noted = {"events.customer": "a", "events.order": "b"}
    assert must_resend(noted, {"events.customer": "a", "events.order": "c"})
    assert must_resend(noted, {"events.customer": "a"})


def test_nothing_is_sent_again_into_the_same_topics_or_beside_new_ones() -> None:
    noted = {"events.customer": "a"}
    assert not must_resend(noted, noted)
    assert not must_resend(noted, {"events.customer": "a", "events.order": "b"})
    assert not must_resend({}, {"events.order": "b"})
