"""The keeper logs an error once and logs its end, and detects recreated event topics."""

import logging
from collections.abc import Iterator

import pytest

from infra.provision.keeper import Task
from infra.provision.recreated_topics import needs_resnapshot
from storage.migrate import MigrationFailed


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="keeper")
    return caplog


async def test_a_repeated_error_is_logged_once_and_so_is_its_end(
    log: pytest.LogCaptureFixture,
) -> None:
    answers: Iterator[Exception | None] = iter([OSError("refused"), OSError("refused"), None, None])

    async def reconcile() -> list[str]:
        if (error := next(answers)) is not None:
            raise error
        return []

    task = Task("topics", reconcile)
    assert [await task.run() for _ in range(4)] == [False, False, True, True]
    assert log.messages == ["topics: failed, will retry: OSError: refused", "topics: succeeded after the failure"]


async def test_a_task_of_every_third_round_runs_in_each_round_until_an_error_is_over() -> None:
    answers: Iterator[Exception | None] = iter([OSError("refused"), None, None])
    ran: list[int] = []

    async def reconcile() -> list[str]:
        ran.append(task.rounds)
        if (error := next(answers)) is not None:
            raise error
        return []

    task = Task("mongo", reconcile, every=3)
    for _ in range(6):
        await task.run()
    assert ran == [1, 2, 4]


async def test_a_migration_that_fails_is_logged_with_its_name_and_retried(
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
        "schema: failed, will retry: MigrationFailed: 0102_x.sql: Error: pq: out of luck",
        "schema: order: applied 0102_x",
        "schema: succeeded after the failure",
    ]


async def test_an_error_that_no_engine_raises_ends_the_keeper() -> None:
    async def reconcile() -> list[str]:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        await Task("topics", reconcile).run()


def test_a_recreated_and_a_missing_event_topic_need_a_resnapshot() -> None:
    stored = {"events.customer": "a", "events.order": "b"}
    assert needs_resnapshot(stored, {"events.customer": "a", "events.order": "c"})
    assert needs_resnapshot(stored, {"events.customer": "a"})


def test_unchanged_and_new_event_topics_need_no_resnapshot() -> None:
    stored = {"events.customer": "a"}
    assert not needs_resnapshot(stored, stored)
    assert not needs_resnapshot(stored, {"events.customer": "a", "events.order": "b"})
    assert not needs_resnapshot({}, {"events.order": "b"})
