"""How many round trips a publish takes: one for a whole batch, and one for a whole chain."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from services.bridge.jetstream import BATCH_COMMIT, BATCH_ID, EXPECTED_LAST_SEQUENCE, EventsWriter
from services.bridge.translate import Message, translate
from tests import builders
from tests.eventually import let_tasks_run


@dataclass
class Answer:
    data: bytes


@dataclass
class FakeClient:
    """A connection that writes down what is sent; requests are answered when `answering` is set."""

    sent: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    is_connected: bool = True
    stats: dict[str, int] = field(default_factory=lambda: {"reconnects": 0})

    async def publish(self, *_: object, headers: dict[str, str]) -> None:
        self.sent.append(("publish", headers))

    async def request(self, *_: object, headers: dict[str, str], **__: object) -> Answer:
        self.sent.append(("request", headers))
        await self.answering.wait()
        return Answer(json.dumps({"seq": len(self.sent)}).encode())

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.sent]


def _messages(count: int) -> list[Message]:
    return [translate(builders.record(event_id=f"event-{n}", partition=0, offset=n)) for n in range(count)]


def _writer(client: Any) -> EventsWriter:
    return EventsWriter(client)


async def test_a_batch_waits_for_one_answer_however_many_messages_it_has() -> None:
    client = FakeClient()
    publishing = asyncio.create_task(_writer(client).publish_batch(_messages(500), expected=0))
    await let_tasks_run()
    assert client.kinds() == ["publish"] * 499 + ["request"]
    client.answering.set()
    assert await publishing == 500


async def test_only_the_first_message_of_a_batch_is_fenced_and_only_the_last_one_commits() -> None:
    client = FakeClient()
    client.answering.set()
    await _writer(client).publish_batch(_messages(5), expected=7)
    assert [headers.get(EXPECTED_LAST_SEQUENCE) for _, headers in client.sent] == ["7", None, None, None, None]
    assert [headers.get(BATCH_COMMIT) for _, headers in client.sent] == [None, None, None, None, "1"]
    assert len({headers[BATCH_ID] for _, headers in client.sent}) == 1


async def test_the_messages_of_a_chain_are_all_sent_before_the_first_answer_and_each_is_fenced() -> None:
    client = FakeClient()
    publishing = asyncio.create_task(_writer(client).publish_pipelined(_messages(12), 7, {}))
    await let_tasks_run()
    assert client.kinds() == ["request"] * 12
    assert [headers[EXPECTED_LAST_SEQUENCE] for _, headers in client.sent] == [str(7 + n) for n in range(12)]
    client.answering.set()
    assert await publishing == (12, 19)
