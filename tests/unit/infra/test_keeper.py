"""The keeper complains once, says when it is over, and has the outboxes sent again after the event topics were lost."""

import logging
from collections.abc import Iterator

import pytest

from infra.provision import connectors, kafka
from infra.provision.keeper import Task, Topics
from infra.provision.settings import Settings

SETTINGS = Settings.read(dict.fromkeys(map(str.upper, Settings.__dataclass_fields__), "unused"))


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


async def test_a_fault_of_the_keeper_itself_is_not_swallowed() -> None:
    async def reconcile() -> list[str]:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        await Task("topics", reconcile).run()


@pytest.fixture
def resent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What resend() answers; it fails while this is empty."""
    answer: list[str] = []

    def resend(_settings: Settings) -> list[str]:
        if not answer:
            raise OSError("Connect is away")
        return answer

    monkeypatch.setattr(connectors, "resend", resend)
    return answer


async def test_the_outboxes_are_sent_again_after_an_event_topic_was_made_and_tried_until_it_succeeds(
    monkeypatch: pytest.MonkeyPatch, resent: list[str]
) -> None:
    topics = Topics(SETTINGS)
    monkeypatch.setattr(kafka, "reconcile", lambda _: ["topic events.order"])
    await topics.reconcile()
    monkeypatch.setattr(kafka, "reconcile", lambda _: [])
    await topics.reconcile()
    with pytest.raises(OSError, match="away"):
        await topics.resend()
    resent.append("customer-outbox sends its outbox again")
    assert await topics.resend() == resent
    assert await topics.resend() == []


async def test_nothing_is_sent_again_for_a_topic_without_events(
    monkeypatch: pytest.MonkeyPatch, resent: list[str]
) -> None:
    topics = Topics(SETTINGS)
    monkeypatch.setattr(kafka, "reconcile", lambda _: ["topic connect.status", "retention.ms of events.order"])
    await topics.reconcile()
    assert await topics.resend() == []
    assert resent == []
