"""A message of a type that the handler does not know is settled apart from the others."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from messaging.consumer import Consumer, ConsumerOptions
from messaging.dead_letters import DeadLetters
from messaging.envelope import Envelope
from messaging.pull import PullSubscription


@dataclass
class FakeDelivery:
    """A message in hand that remembers how it was settled."""

    sequence: int
    type: str
    settled: list[str] = field(default_factory=list)
    subject: str = "events.order.0.OrderCreated"
    payload: bytes = b"{}"

    @property
    def headers(self) -> dict[str, str]:
        return {"id": f"event-{self.sequence}", "type": self.type}

    async def ack(self) -> None:
        self.settled.append("ack")

    async def nak(self, delay: float = 0.0) -> None:  # noqa: ARG002
        self.settled.append("nak")


class NoJetStream:
    def jetstream(self) -> "NoJetStream":
        return self


def _no_subscription() -> PullSubscription:
    raise AssertionError("this test hands the deliveries over itself")


async def test_a_message_of_an_unknown_type_does_not_get_into_the_batch_of_the_others() -> None:
    batches: list[list[str]] = []

    async def handler(envelopes: Sequence[Envelope]) -> None:
        batches.append([envelope.event_id for envelope in envelopes])

    client: Any = NoJetStream()
    options = ConsumerOptions((OSError,), types=frozenset({"OrderCreated"}))
    consumer = Consumer("order", _no_subscription, DeadLetters(client, "order"), handler, options)
    types = ["OrderCreated", "OrderSplit", "OrderCreated"]
    deliveries: list[Any] = [FakeDelivery(number, event_type) for number, event_type in enumerate(types, 1)]
    await consumer.process(deliveries)
    assert batches == [["event-1", "event-3"]]
    assert [delivery.settled for delivery in deliveries] == [["ack"], ["nak"], ["ack"]]
