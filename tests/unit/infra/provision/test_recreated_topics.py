"""The ids of the event topics are stored only after the outboxes were sent again."""

from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from infra.provision import connectors, kafka, recreated_topics
from infra.provision.settings import Settings


class Postgres:
    """The table of the ids; writes down what is stored."""

    def __init__(self) -> None:
        self.stored = {"events.order": "old"}

    async def execute(self, _statement: str, *arguments: list[str]) -> None:
        if arguments:
            self.stored |= dict(zip(*arguments, strict=True))

    async def fetch(self, _query: str) -> list[dict[str, str]]:
        return [{"name": name, "id": topic_id} for name, topic_id in self.stored.items()]

    async def close(self) -> None:
        pass


async def test_an_interrupted_resnapshot_is_repeated_at_the_next_round(monkeypatch: pytest.MonkeyPatch) -> None:
    postgres = Postgres()
    attempts: list[str] = []

    async def connect(*_: object, **__: object) -> Postgres:
        return postgres

    def resnapshot(_settings: Settings) -> list[str]:
        attempts.append("resnapshot")
        if len(attempts) == 1:
            raise OSError("Connect is away")
        return ["order-outbox takes a new snapshot"]

    monkeypatch.setattr(asyncpg, "connect", connect)
    monkeypatch.setattr(kafka, "event_topic_ids", lambda _settings: {"events.order": "new"})
    monkeypatch.setattr(connectors, "resnapshot_outboxes", resnapshot)
    settings: Any = SimpleNamespace(postgres_url=SecretStr("postgresql://nowhere"))
    with pytest.raises(OSError, match="Connect is away"):
        await recreated_topics.reconcile(settings)
    assert postgres.stored == {"events.order": "old"}
    assert await recreated_topics.reconcile(settings) == ["order-outbox takes a new snapshot"]
    assert postgres.stored == {"events.order": "new"}
    assert await recreated_topics.reconcile(settings) == []
