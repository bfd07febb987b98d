"""The audit: a system that agrees has no finding, and each kind of disagreement is found by its id."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from operations.audit import audit
from operations.snapshot import Customer, KafkaPosition, Order, OutboxEvent, Reservation, Snapshot, StreamMessage

POSITION = KafkaPosition("events.order", 1, 0)
ORDER = Order(customer_id=1, total=400, state="APPROVED", reason=None, version=2)


def message(sequence: int = 1, event_id: str = "e1", position: KafkaPosition = POSITION) -> StreamMessage:
    return StreamMessage(sequence, event_id, "topic-1", position, datetime.now(UTC))


AGREEING = Snapshot(
    outbox={"e1": OutboxEvent("order", "OrderCreated", "order", "7")},
    kafka={POSITION: "e1"},
    topic_ids={"events.order": "topic-1"},
    stream=[message()],
    customers={1: Customer("Jane Doe", 500, 400)},
    reservations={7: Reservation(1, 400, "RESERVED")},
    orders={7: ORDER},
    view_customers={1: ("Jane Doe", 500)},
    view_orders={7: ORDER},
)


def test_nothing_is_found_where_everything_agrees() -> None:
    assert audit(AGREEING) == []


@pytest.mark.parametrize(
    ("change", "check", "subject"),
    [
        (
            {"customers": {1: Customer("Jane Doe", 300, 400)}, "view_customers": {1: ("Jane Doe", 300)}},
            "credit limit",
            "1",
        ),
        ({"customers": {1: Customer("Jane Doe", 500, 100)}}, "reserved credit", "customer 1"),
        ({"orders": {7: replace(ORDER, state="PENDING")}}, "final", "order 7"),
        ({"reservations": {7: Reservation(1, 400, "RELEASED")}}, "decision", "order 7"),
        ({"reservations": {}}, "decision", "order 7"),
        ({"orders": {}}, "decision", "order 7"),
        ({"view_orders": {}}, "view", "order 7"),
        ({"view_orders": {7: replace(ORDER, version=1)}}, "view", "order 7"),
        ({"view_orders": {7: ORDER, 8: ORDER}}, "view", "order 8"),
        ({"view_customers": {}}, "view", "customer 1"),
        ({"stream": []}, "sent", "event e1"),
        ({"stream": []}, "forwarded", str(POSITION)),
        ({"stream": [message(1), message(2)]}, "forwarded", str(POSITION)),
        (
            {"stream": [message(1, "e2", KafkaPosition("events.order", 1, 5)), message(2)]},
            "forwarded",
            f"record {POSITION}",
        ),
        ({"dead_letters": {"customer": 2}}, "dead letters", "customer"),
    ],
)
def test_a_disagreement_is_found_and_named(change: dict[str, Any], check: str, subject: str) -> None:
    found = [finding for finding in audit(replace(AGREEING, **change)) if finding.check == check]
    assert [finding for finding in found if subject in finding.subject]


def test_a_repeat_that_the_bridge_left_out_is_no_finding() -> None:
    repeated = {POSITION: "e1", KafkaPosition("events.order", 1, 1): "e1"}
    assert audit(replace(AGREEING, kafka=repeated)) == []


def test_messages_from_a_kafka_that_was_wiped_are_not_held_against_the_new_one() -> None:
    assert audit(replace(AGREEING, topic_ids={"events.order": "topic-2"}, kafka={})) == []
