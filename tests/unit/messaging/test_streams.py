"""A durable consumer keeps its position while others publish and consume. Only a lost tail starts it over."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from messaging.streams import (
    EVENTS,
    STREAM_DEFAULTS,
    STREAMS,
    DurableConsumer,
    ensure_consumer,
    ensure_stream,
    retry_subject,
    subjects_of,
)
from services.order.events import CREDIT_DECISIONS

CONSUMER = DurableConsumer("order", ("events.customer.*.CreditReserved",))
RETRIES = retry_subject("order")


@dataclass
class Answer:
    data: bytes


@dataclass
class BusyServer:
    """JetStream's API where, after each question, one more message is stored and handed to the consumer."""

    stored: int = 10
    delivered: int = 10
    config: Mapping[str, Any] = field(default_factory=CONSUMER.config)
    changes: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    async def request(self, subject: str, payload: bytes, timeout: float) -> Answer:  # noqa: ARG002, ASYNC109
        call = subject.removeprefix("$JS.API.")
        answer: dict[str, Any] = {}
        if call.startswith("STREAM.INFO"):
            answer = {"state": {"last_seq": self.stored}}
        elif call.startswith("CONSUMER.INFO"):
            answer = {"delivered": {"stream_seq": self.delivered}, "config": self.config}
        else:
            body = json.loads(payload) if payload else {}
            self.changes.append((body.get("action", call.split(".")[1].lower()), body.get("config", {})))
        self.stored += 1
        self.delivered += 1
        return Answer(json.dumps(answer).encode())


async def _changes(server: Any, consumer: DurableConsumer = CONSUMER) -> list[str]:
    await ensure_consumer(server, consumer)
    return [action for action, _ in server.changes]


async def _subjects_after(present: Sequence[str], wanted: Sequence[str]) -> Sequence[str]:
    """The subjects of a consumer that has the present ones, after an instance that wants others has started."""
    server: Any = BusyServer(config=CONSUMER.config() | {"filter_subjects": [*present, RETRIES]})
    await ensure_consumer(server, DurableConsumer("order", tuple(wanted)))
    subjects: Sequence[str] = server.config["filter_subjects"]
    for _, config in server.changes:
        subjects = config["filter_subjects"]
    return [subject for subject in subjects if subject != RETRIES]


async def test_messages_that_are_delivered_meanwhile_are_not_taken_for_a_lost_tail() -> None:
    assert await _changes(BusyServer()) == []


async def test_a_consumer_beyond_the_streams_end_starts_from_the_beginning() -> None:
    assert await _changes(BusyServer(stored=3)) == ["delete", "create"]


async def test_a_newer_instance_adds_its_subjects() -> None:
    assert await _subjects_after(present=["a"], wanted=["a", "b"]) == ["a", "b"]


async def test_an_older_instance_does_not_take_a_newer_ones_subjects_away() -> None:
    assert await _subjects_after(present=["a", "b"], wanted=["a"]) == ["a", "b"]


async def test_an_older_instance_changes_nothing_of_a_newer_ones_consumer() -> None:
    newer = CONSUMER.config() | {"filter_subjects": [*CONSUMER.subjects, "events.customer.*.Later", RETRIES]}
    assert await _changes(BusyServer(config=newer)) == []


async def test_an_option_that_differs_is_updated() -> None:
    assert await _changes(BusyServer(config=CONSUMER.config() | {"max_ack_pending": 1})) == ["update"]


def test_the_subjects_of_a_consumer_are_the_registered_event_types_in_every_partition() -> None:
    assert subjects_of("customer", CREDIT_DECISIONS) == (
        "events.customer.*.CreditReserved",
        "events.customer.*.CreditLimitExceeded",
        "events.customer.*.CustomerValidationFailed",
    )


def test_a_consumer_also_takes_the_dead_letters_that_are_sent_again_to_it() -> None:
    assert CONSUMER.config()["filter_subjects"] == [*CONSUMER.subjects, "events.retry.order.DeadLetter"]


async def test_an_update_of_a_stream_keeps_the_options_that_are_not_declared() -> None:
    declared = {"name": EVENTS, **STREAM_DEFAULTS, **STREAMS[EVENTS]}
    present = declared | {"max_age": 1, "compression": "s2"}
    updates: list[dict[str, Any]] = []

    class Server:
        async def request(self, subject: str, payload: bytes, timeout: float) -> Answer:  # noqa: ARG002, ASYNC109
            if subject.startswith("$JS.API.STREAM.UPDATE"):
                updates.append(json.loads(payload))
            return Answer(json.dumps({"config": present, "state": {}}).encode())

    server: Any = Server()
    await ensure_stream(server, EVENTS)
    assert updates == [declared | {"compression": "s2"}]
