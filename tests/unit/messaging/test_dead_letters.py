"""Which headers a dead letter carries."""

from types import SimpleNamespace
from typing import Any

from contracts.headers import KAFKA_OFFSET, KAFKA_PARTITION, KAFKA_TOPIC, MESSAGE_ID
from messaging.dead_letters import CONSUMER, ERROR, ORIGIN_IN_KAFKA, ORIGIN_SEQUENCE, ORIGIN_SUBJECT, DeadLetters

STORED = {
    "id": "event-1",
    "type": "OrderCreated",
    KAFKA_TOPIC: "events.order",
    KAFKA_PARTITION: "3",
    KAFKA_OFFSET: "5",
    MESSAGE_ID: "event-1",
    "Nats-Expected-Last-Sequence": "6",
    "Nats-Batch-Id": "a-batch",
    "Nats-Batch-Sequence": "1",
}


class Stream:
    """Takes what is published, as the client would hand it to the server."""

    def __init__(self) -> None:
        self.published: list[dict[str, str]] = []

    def jetstream(self) -> "Stream":
        return self

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str], stream: str) -> None:  # noqa: ARG002
        self.published.append(headers)


async def _store(error: Exception) -> dict[str, str]:
    stream = Stream()
    delivery: Any = SimpleNamespace(headers=STORED, payload=b"{}", subject="events.order.0.OrderCreated", sequence=7)
    client: Any = stream
    await DeadLetters(client, "customer").store(delivery, error)
    return stream.published[0]


async def test_a_dead_letter_keeps_the_events_own_headers_and_tells_the_error_and_the_origin() -> None:
    headers = await _store(ValueError("bad"))
    assert {name: headers[name] for name in ("id", "type", KAFKA_OFFSET)} == {
        "id": "event-1",
        "type": "OrderCreated",
        KAFKA_OFFSET: "5",
    }
    assert headers[CONSUMER] == "customer"
    assert headers[ERROR] == "ValueError: bad"
    assert headers[ORIGIN_SUBJECT] == "events.order.0.OrderCreated"
    assert headers[ORIGIN_SEQUENCE] == "7"
    assert headers[ORIGIN_IN_KAFKA] == "events.order/3@5"


async def test_a_dead_letter_carries_no_header_that_the_server_acts_on_but_an_id_of_its_own() -> None:
    headers = await _store(ValueError("bad"))
    assert [name for name in headers if name.startswith("Nats-")] == [MESSAGE_ID]
    assert headers[MESSAGE_ID] != STORED[MESSAGE_ID]


async def test_the_error_becomes_one_line_of_ascii() -> None:
    headers = await _store(ValueError("first\nsecond\r\nthird ü"))
    assert headers[ERROR] == "ValueError: first second third \\xfc"
