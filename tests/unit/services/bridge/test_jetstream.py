"""How many round trips a publish takes, what is refused, and what opening the stream does."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from nats.js.errors import APIError

from messaging.errors import ConnectionGone
from messaging.streams import STREAM_DEFAULTS, STREAMS
from services.bridge.jetstream import (
    BATCH_COMMIT,
    BATCH_ID,
    EXPECTED_LAST_SEQUENCE,
    EventsWriter,
    Fenced,
    RepeatInBatch,
)
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
    refusal: dict[str, Any] = field(default_factory=dict)
    stats: dict[str, int] = field(default_factory=lambda: {"reconnects": 0})

    async def publish(self, *_: object, headers: dict[str, str]) -> None:
        self.sent.append(("publish", headers))

    async def request(self, *_: object, headers: dict[str, str], **__: object) -> Answer:
        self.sent.append(("request", headers))
        await self.answering.wait()
        return Answer(json.dumps({"error": self.refusal} if self.refusal else {"seq": len(self.sent)}).encode())

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


class Api:
    """JetStream's API of a stream that ends with message 3, with these consumers by the last sequence delivered."""

    is_closed = False
    stats: Mapping[str, int] = {"reconnects": 0}

    def __init__(self, **delivered: int) -> None:
        self._delivered = delivered
        self.calls: list[str] = []
        self.deleted: list[str] = []

    async def request(self, subject: str, *_: object, **__: object) -> Answer:
        call = subject.removeprefix("$JS.API.")
        self.calls.append(call)
        answer: dict[str, Any] = {}
        if call.startswith("STREAM."):
            name = call.split(".")[2]
            answer = {"state": {"last_seq": 3}, "config": {"name": name, **STREAM_DEFAULTS, **STREAMS[name]}}
        elif call.startswith("CONSUMER.LIST"):
            infos = [{"name": name, "delivered": {"stream_seq": last}} for name, last in self._delivered.items()]
            answer = {"consumers": infos}
        elif call.startswith("CONSUMER.DELETE"):
            self.deleted.append(call.split(".")[-1])
        return Answer(json.dumps(answer).encode())


async def test_opening_deletes_the_consumers_beyond_the_end_before_the_first_append() -> None:
    # Later would be too late: the refilled stream would reach their positions, and they would skip what is before.
    api = Api(customer=3, order=4, history_a=0)
    assert await _writer(api).open() == 3
    assert api.deleted == ["order"]


async def test_opening_also_creates_the_stream_of_dead_letters_before_any_event_can_become_one() -> None:
    api = Api()
    await _writer(api).open()
    assert api.calls[0] == "STREAM.INFO.DEAD_LETTERS"


async def test_a_connection_that_is_closed_for_good_ends_the_bridge() -> None:
    api = Api()
    api.is_closed = True
    with pytest.raises(ConnectionGone):
        await _writer(api).open()
    assert api.calls == []


@pytest.mark.parametrize("how", ["away", "replaced"])
async def test_nothing_is_published_on_another_connection_than_the_stream_was_opened_on(how: str) -> None:
    client = FakeClient()
    client.answering.set()
    writer = _writer(client)
    if how == "away":
        client.is_connected = False
    else:
        client.stats["reconnects"] += 1
    with pytest.raises(Fenced, match="the connection was replaced"):
        await writer.publish_pipelined(_messages(1), 0, {})
    with pytest.raises(Fenced, match="the connection was replaced"):
        await writer.publish_batch(_messages(2), 0)
    assert client.sent == []


@pytest.mark.parametrize(
    ("code", "error"), [(10070, Fenced), (10071, Fenced), (10201, RepeatInBatch), (10077, APIError)]
)
async def test_a_refused_publish_is_told_apart_by_the_servers_code(code: int, error: type[Exception]) -> None:
    client = FakeClient(refusal={"code": 400, "err_code": code, "description": "no"})
    client.answering.set()
    with pytest.raises(error):
        await _writer(client).publish_pipelined(_messages(1), 0, {})
