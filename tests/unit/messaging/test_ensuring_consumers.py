"""A durable consumer keeps its place while others publish and consume; only a lost tail starts it over."""

import json
from dataclasses import dataclass, field
from typing import Any

from messaging.streams import DurableConsumer, ensure_consumer

CONSUMER = DurableConsumer("order", ("events.customer.>",))


@dataclass
class Answer:
    data: bytes


@dataclass
class BusyServer:
    """JetStream's API where, after each question, one more message is stored and handed to the consumer."""

    stored: int = 10
    delivered: int = 10
    calls: list[str] = field(default_factory=list)

    async def request(self, subject: str, payload: bytes, timeout: float) -> Answer:  # noqa: ARG002, ASYNC109
        call = subject.removeprefix("$JS.API.")
        self.calls.append(call)
        answer: dict[str, Any] = {}
        if call.startswith("STREAM.INFO"):
            answer = {"state": {"last_seq": self.stored}}
        elif call.startswith("CONSUMER.INFO"):
            answer = {"delivered": {"stream_seq": self.delivered}, "config": CONSUMER.config()}
        self.stored += 1
        self.delivered += 1
        return Answer(json.dumps(answer).encode())


async def _changes(server: Any) -> list[str]:
    await ensure_consumer(server, CONSUMER)
    return [call.split(".")[1] for call in server.calls if ".INFO." not in call]


async def test_messages_that_are_handed_out_meanwhile_are_not_taken_for_a_lost_tail() -> None:
    assert await _changes(BusyServer()) == []


async def test_a_consumer_beyond_the_streams_end_starts_from_the_beginning() -> None:
    assert await _changes(BusyServer(stored=3)) == ["DELETE", "CREATE"]
