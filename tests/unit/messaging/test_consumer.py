"""How each message of a batch is settled, with deliveries that write down their acks and naks."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from messaging import consumer as consumer_module
from messaging.consumer import Consumer, ConsumerOptions, RetryPolicy
from messaging.dead_letters import DeadLetters
from messaging.envelope import Envelope
from messaging.errors import NotYetVisible, Undecodable, UnknownEventType
from messaging.pull import PullSubscription

POLICY = RetryPolicy(attempts=3, attempts_unseen=6, first_delay=0.05, longest_delay=0.2)
HEADERS = {"id": "event-1", "type": "OrderCreated", "Nats-Msg-Id": "event-1"}


class Outage(Exception):
    """The handler's database is away."""


@dataclass
class FakeDelivery:
    """A message in hand that only remembers how it was settled."""

    sequence: int
    headers: Mapping[str, str] = field(default_factory=lambda: HEADERS)
    payload: bytes = b"{}"
    subject: str = "events.order.0.OrderCreated"
    settled: list[str] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)

    async def ack(self) -> None:
        self.settled.append("ack")

    async def nak(self, delay: float = 0.0) -> None:
        self.settled.append("nak")
        self.delays.append(delay)


@dataclass
class FakeJetStream:
    """Takes dead letters; fails first where errors are scripted."""

    stored: list[dict[str, Any]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def jetstream(self) -> "FakeJetStream":
        return self

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str], stream: str) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.stored.append({"subject": subject, "payload": payload, "headers": headers, "stream": stream})


class Script:
    """A handler that does as told: `fate(payloads)` raises, or applies the batch."""

    def __init__(self, fate: Callable[[list[bytes]], None] = lambda _: None) -> None:
        self._fate = fate
        self.calls: list[list[bytes]] = []
        self.applied: list[bytes] = []

    async def __call__(self, envelopes: Sequence[Envelope]) -> None:
        payloads = [envelope.payload for envelope in envelopes]
        self.calls.append(payloads)
        self._fate(payloads)
        self.applied += payloads


def _consumer(handler: Any, jetstream: FakeJetStream | None = None) -> Consumer:
    client: Any = jetstream or FakeJetStream()
    options = ConsumerOptions((Outage,), POLICY)
    return Consumer("order", _no_subscription, DeadLetters(client, "order"), handler, options)


def _no_subscription() -> PullSubscription:
    raise AssertionError("these tests hand the deliveries over themselves")


def _batch(*payloads: bytes) -> list[FakeDelivery]:
    return [FakeDelivery(sequence, payload=payload) for sequence, payload in enumerate(payloads, 1)]


def _poison(payload: bytes, error: Exception) -> Callable[[list[bytes]], None]:
    def fate(payloads: list[bytes]) -> None:
        if payload in payloads:
            raise error

    return fate


async def _process(consumer: Consumer, deliveries: Sequence[FakeDelivery]) -> None:
    batch: Any = deliveries
    await consumer.process(batch)


async def test_a_batch_is_applied_in_one_call_and_acked_after_the_handler_has_returned() -> None:
    deliveries = _batch(b"1", b"2", b"3")
    before: list[list[str]] = []
    handler = Script(lambda _: before.extend(delivery.settled.copy() for delivery in deliveries))
    await _process(_consumer(handler), deliveries)
    assert handler.calls == [[b"1", b"2", b"3"]]
    assert before == [[], [], []]
    assert [delivery.settled for delivery in deliveries] == [["ack"]] * 3


async def test_an_empty_batch_does_not_reach_the_handler() -> None:
    handler = Script()
    await _process(_consumer(handler), [])
    assert handler.calls == []


async def test_when_a_batch_fails_its_messages_are_tried_one_by_one() -> None:
    deliveries, handler = _batch(b"1", b"bad", b"3"), Script(_poison(b"bad", ValueError("no")))
    await _process(_consumer(handler), deliveries)
    assert handler.calls == [[b"1", b"bad", b"3"], [b"1"], [b"bad"], [b"3"]]
    assert [delivery.settled for delivery in deliveries] == [["ack"], ["nak"], ["ack"]]


async def test_a_failing_message_is_redelivered_with_a_growing_delay_and_then_a_dead_letter() -> None:
    [delivery], jetstream = _batch(b"bad"), FakeJetStream()
    consumer = _consumer(Script(_poison(b"bad", ValueError("no"))), jetstream)
    for _ in range(POLICY.attempts):
        await _process(consumer, [delivery])
    assert delivery.settled == ["nak", "nak", "ack"]
    assert delivery.delays == [0.05, 0.1]
    assert len(jetstream.stored) == 1


async def test_a_dead_letter_carries_the_message_the_error_and_the_origin() -> None:
    [delivery], jetstream = _batch(b"bad"), FakeJetStream()
    consumer = _consumer(Script(_poison(b"bad", Undecodable("not\r\nreadable \u2603"))), jetstream)
    await _process(consumer, [delivery])
    [letter] = jetstream.stored
    assert (letter["subject"], letter["payload"], letter["stream"]) == ("dead.order", b"bad", "DEAD_LETTERS")
    assert letter["headers"] == {
        "id": "event-1",
        "type": "OrderCreated",
        "Nats-Msg-Id": "order:1:event-1",
        "Dead-Letter-Consumer": "order",
        "Dead-Letter-Error": "Undecodable: not readable \\u2603",
        "Dead-Letter-Subject": "events.order.0.OrderCreated",
        "Dead-Letter-Sequence": "1",
    }


async def test_a_poisoned_batch_loses_nothing_but_the_poison() -> None:
    deliveries, jetstream = _batch(b"1", b"bad", b"3"), FakeJetStream()
    handler = Script(_poison(b"bad", Undecodable("no")))
    await _process(_consumer(handler, jetstream), deliveries)
    assert handler.applied == [b"1", b"3"]
    assert [delivery.settled for delivery in deliveries] == [["ack"]] * 3
    assert [letter["payload"] for letter in jetstream.stored] == [b"bad"]


@pytest.mark.parametrize("headers", [{}, {"id": "1"}, {"type": "OrderCreated"}, {"id": "", "type": ""}])
async def test_a_message_without_an_envelope_is_a_dead_letter_at_once(headers: dict[str, str]) -> None:
    deliveries, jetstream, handler = _batch(b"1", b"2"), FakeJetStream(), Script()
    deliveries[0].headers = headers
    await _process(_consumer(handler, jetstream), deliveries)
    assert handler.calls == [[b"2"]]
    assert [delivery.settled for delivery in deliveries] == [["ack"], ["ack"]]
    assert [letter["payload"] for letter in jetstream.stored] == [b"1"]


@pytest.mark.parametrize("error", [NotYetVisible("42"), UnknownEventType("OrderSplit")], ids=["row", "event type"])
async def test_a_message_that_another_instance_may_understand_or_see_gets_more_attempts(error: Exception) -> None:
    [delivery], jetstream = _batch(b"early"), FakeJetStream()
    consumer = _consumer(Script(_poison(b"early", error)), jetstream)
    for _ in range(POLICY.attempts_unseen):
        await _process(consumer, [delivery])
    assert delivery.settled == ["nak"] * 5 + ["ack"]
    assert delivery.delays == [0.05, 0.1, 0.2, 0.2, 0.2]
    assert len(jetstream.stored) == 1


@pytest.mark.parametrize(("error", "lines"), [(UnknownEventType("X"), 1), (NotYetVisible(), 1), (ValueError(), 2)])
async def test_the_attempts_at_a_message_that_may_pass_by_itself_are_logged_once(
    error: Exception, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    consumer = _consumer(Script(_poison(b"bad", error)))
    for _ in range(2):
        await _process(consumer, _batch(b"bad"))
    assert len([message for message in caplog.messages if "attempt" in message]) == lines


async def test_a_success_resets_the_count_of_failures() -> None:
    fates: list[Exception | None] = [ValueError("1"), ValueError("2"), None, ValueError("3"), ValueError("4")]

    def fate(_: list[bytes]) -> None:
        error = fates.pop(0)
        if error:
            raise error

    [delivery], jetstream = _batch(b"x"), FakeJetStream()
    consumer = _consumer(Script(fate), jetstream)
    for _ in range(5):
        await _process(consumer, [delivery])
    assert delivery.settled == ["nak", "nak", "ack", "nak", "nak"]
    assert jetstream.stored == []


async def test_an_outage_is_retried_without_settling_and_without_counting() -> None:
    outages = [Outage("away")] * (POLICY.attempts + 1)
    deliveries, jetstream = _batch(b"1", b"2"), FakeJetStream()

    def fate(_: list[bytes]) -> None:
        assert all(not delivery.settled for delivery in deliveries)
        if outages:
            raise outages.pop()

    handler = Script(fate)
    await _process(_consumer(handler, jetstream), deliveries)
    assert handler.calls == [[b"1", b"2"]] * (POLICY.attempts + 2)
    assert [delivery.settled for delivery in deliveries] == [["ack"], ["ack"]]
    assert jetstream.stored == []


async def test_an_outage_is_the_fault_until_it_is_over() -> None:
    faults: list[str | None] = []
    outages = [Outage("the database is away")]

    def fate(_: list[bytes]) -> None:
        faults.append(consumer.fault)
        if outages:
            raise outages.pop()

    consumer = _consumer(Script(fate))
    await _process(consumer, _batch(b"1"))
    assert faults[-1] == "Outage: the database is away"
    assert consumer.fault is None


async def test_a_cancelled_batch_is_neither_acked_nor_naked() -> None:
    entered = asyncio.Event()

    async def handler(_: Sequence[Envelope]) -> None:
        entered.set()
        await asyncio.Event().wait()

    deliveries = _batch(b"1", b"2")
    processing = asyncio.create_task(_process(_consumer(handler), deliveries))
    await entered.wait()
    processing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await processing
    assert [delivery.settled for delivery in deliveries] == [[], []]


async def test_a_message_is_not_acked_before_its_dead_letter_is_stored() -> None:
    [delivery] = _batch(b"bad")
    jetstream = FakeJetStream(errors=[ConnectionError("away"), TimeoutError()])
    consumer = _consumer(Script(_poison(b"bad", Undecodable("no"))), jetstream)
    await _process(consumer, [delivery])
    assert delivery.settled == ["ack"]
    assert len(jetstream.stored) == 1


async def test_while_a_dead_letter_cannot_be_stored_that_is_the_fault() -> None:
    faults: list[str | None] = []

    class Away(FakeJetStream):
        async def publish(self, *arguments: Any, **options: Any) -> None:
            faults.append(consumer.fault)
            await super().publish(*arguments, **options)

    consumer = _consumer(Script(_poison(b"bad", Undecodable("no"))), Away(errors=[ConnectionError("away")]))
    await _process(consumer, _batch(b"bad"))
    assert faults == ["not started", "ConnectionError: away"]


async def test_a_dead_letter_that_comes_again_gets_all_its_attempts_again() -> None:
    [delivery], jetstream = _batch(b"bad"), FakeJetStream()
    consumer = _consumer(Script(_poison(b"bad", ValueError("no"))), jetstream)
    for _ in range(2 * POLICY.attempts):
        await _process(consumer, [delivery])
    assert delivery.settled == ["nak", "nak", "ack"] * 2
    assert consumer._failures == {}


async def test_the_number_of_remembered_failures_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "REMEMBERED_FAILURES", 5)
    consumer = _consumer(Script(_poison(b"bad", ValueError("no"))))
    for sequence in range(20):
        await _process(consumer, [FakeDelivery(sequence, payload=b"bad")])
    assert list(consumer._failures) == [15, 16, 17, 18, 19]
