"""A durable consumer keeps its place while others publish and consume; only a lost tail starts it over."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from messaging.streams import DurableConsumer, ensure_consumer, retry_subject

CONSUMER = DurableConsumer("order", ("events.customer.>",))


@dataclass
class Answer:
    data: bytes


@dataclass
class BusyServer:
    """JetStream's API where, after each question, one more message is stored and handed to the consumer."""

    stored: int = 10
    delivered: int = 10
    subjects: tuple[str, ...] = CONSUMER.subjects
    calls: list[str] = field(default_factory=list)
    filters: list[str] = field(default_factory=list)

    async def request(self, subject: str, payload: bytes, timeout: float) -> Answer:  # noqa: ARG002, ASYNC109
        call = subject.removeprefix("$JS.API.")
        self.calls.append(call)
        answer: dict[str, Any] = {}
        if call.startswith("STREAM.INFO"):
            answer = {"state": {"last_seq": self.stored}}
        elif call.startswith("CONSUMER.INFO"):
            present = replace(CONSUMER, subjects=self.subjects).config()
            answer = {"delivered": {"stream_seq": self.delivered}, "config": present}
        elif call.startswith("CONSUMER.CREATE"):
            self.filters = json.loads(payload)["config"]["filter_subjects"]
        self.stored += 1
        self.delivered += 1
        return Answer(json.dumps(answer).encode())


async def _changes(server: Any, consumer: DurableConsumer = CONSUMER) -> list[str]:
    await ensure_consumer(server, consumer)
    return [call.split(".")[1] for call in server.calls if ".INFO." not in call]


async def test_messages_that_are_handed_out_meanwhile_are_not_taken_for_a_lost_tail() -> None:
    assert await _changes(BusyServer()) == []


async def test_a_consumer_beyond_the_streams_end_starts_from_the_beginning() -> None:
    assert await _changes(BusyServer(stored=3)) == ["DELETE", "CREATE"]


async def test_subjects_that_a_newer_version_added_are_kept() -> None:
    server = BusyServer(subjects=("events.order.*.OrderCreated",))
    assert await _changes(server) == ["CREATE"]
    assert server.filters == ["events.order.*.OrderCreated", retry_subject("order"), "events.customer.>"]


@pytest.mark.parametrize("narrow", ["events.customer.*.CustomerCreated", "events.customer.*.*", "events.customer.0.>"])
async def test_a_subject_that_another_one_covers_is_left_out_because_the_server_refuses_filters_that_overlap(
    narrow: str,
) -> None:
    server = BusyServer(subjects=(narrow,))
    assert await _changes(server) == ["CREATE"]
    assert sorted(server.filters) == ["events.customer.>", retry_subject("order")]


async def test_a_consumer_whose_subjects_cover_the_wanted_ones_is_left_as_it_is() -> None:
    wanted = replace(CONSUMER, subjects=("events.customer.*.CustomerCreated",))
    assert await _changes(BusyServer(), wanted) == []
