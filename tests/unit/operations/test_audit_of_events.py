"""The audit of events on their way, and what is wrong, late or in flight when it looks twice."""

from dataclasses import replace

import pytest

from operations.audit import HOLD_ALWAYS, Finding, compare
from operations.snapshot import KafkaPosition
from tests.unit.operations.snapshots import (
    AGREEING,
    CUSTOMER,
    ORDER,
    customer_event,
    found,
    message,
    order_event,
    outbox,
)


@pytest.mark.parametrize(
    ("versions", "missing"),
    [
        ([1, 2, 3], ""),
        ([2, 3], ""),  # the retention has deleted the first one
        ([3], ""),
        ([3, 3], ""),  # republished
        ([], ""),  # all of them are past the retention
        ([1, 2], "3"),
        ([1, 3], "2"),
        ([1], "2, 3"),
    ],
)
def test_a_version_of_an_order_without_an_event_in_the_outbox_is_found(versions: list[int], missing: str) -> None:
    order = replace(ORDER, version=3)
    findings = found(
        orders={7: order}, view_orders={7: order}, **outbox(*(order_event(version) for version in versions))
    )
    expected = [f"outbox: order 7: has version 3, the outbox has no event of version {missing}"] if missing else []
    assert findings == expected


def test_an_event_of_a_version_that_the_order_does_not_have_is_found() -> None:
    assert found(**outbox(order_event(1), order_event(2), order_event(3))) == [
        "outbox: order 7: has version 2, the outbox has an event of version 3"
    ]


def test_an_event_of_an_order_that_does_not_exist_is_found() -> None:
    assert found(**outbox(order_event(1, order_id=8))) == [
        "outbox: order 8: has version 0, the outbox has an event of version 1"
    ]


def test_a_customers_versions_may_have_gaps_and_must_not_be_higher_than_its_row() -> None:
    customer = {"customers": {1: replace(CUSTOMER, version=5)}}
    assert found(**customer, **outbox(customer_event(1), customer_event(4, "CreditReserved"))) == []
    assert found(**customer, **outbox(customer_event(1), customer_event(6, "CreditReserved"))) == [
        "outbox: customer 1: has version 5, the outbox has an event of version 6"
    ]


def test_an_event_about_a_customer_that_does_not_exist_has_version_0_and_is_no_finding() -> None:
    assert found(**outbox(customer_event(0, "CustomerValidationFailed", customer_id=9))) == []


def test_an_event_without_a_version_is_no_finding() -> None:
    assert found(**outbox(order_event(None))) == []


def test_an_outbox_row_that_is_not_in_the_stream_is_found() -> None:
    behind = {"outbox": {"e9": order_event(2)}}
    assert found(**{**outbox(), **behind}) == [
        "sent: event e9: OrderCreated of order 7 is in the outbox of order, not in the stream"
    ]


def test_a_kafka_record_that_is_not_in_the_stream_is_found() -> None:
    record = KafkaPosition("events.order", 1, 99)
    assert found(kafka={record: "e9"}) == ["forwarded: record events.order/1@99: with event e9 is not in the stream"]


def test_a_kafka_record_that_is_in_the_stream_twice_is_found() -> None:
    assert found(stream=[*AGREEING.stream, replace(AGREEING.stream[-1], sequence=5)]) == [
        "forwarded: record events.order/1@3: is at sequence 5, after events.order/1@3"
    ]


def test_kafka_records_of_one_partition_in_another_order_are_found() -> None:
    first, second, *rest = AGREEING.stream
    swapped = [replace(second, sequence=1), replace(first, sequence=2), *rest]
    assert found(stream=swapped) == ["forwarded: record events.order/1@0: is at sequence 2, after events.order/1@1"]


def test_records_of_two_partitions_in_any_order_are_no_finding() -> None:
    other = [
        message(5, "e1", KafkaPosition("events.order", 2, 0)),
        message(6, "e1", KafkaPosition("events.customer", 1, 0)),
    ]
    assert found(stream=[*AGREEING.stream, *other]) == []


def test_a_repeated_record_that_the_bridge_left_out_is_no_finding() -> None:
    assert found(kafka={**AGREEING.kafka, KafkaPosition("events.order", 1, 4): "e1"}) == []


def test_messages_from_a_kafka_that_was_wiped_are_not_compared_with_the_new_one() -> None:
    assert found(topic_ids={"events.order": "topic-2"}, kafka={}) == []
    again = [replace(m, sequence=m.sequence + 4, topic_id="topic-2") for m in AGREEING.stream]
    assert found(topic_ids={"events.order": "topic-2"}, stream=[*AGREEING.stream, *again]) == []


def test_a_consumer_with_dead_letters_is_found() -> None:
    assert found(dead_letters={"customer": 2, "history": 0}) == [
        "dead letters: consumer customer: 2 messages could not be handled; `./saga dead-letters list` shows them"
    ]


ONE = Finding("view", "order 1", "is missing in the view")
OTHER = Finding("view", "order 2", "is missing in the view")


def test_a_finding_of_both_looks_is_wrong_if_no_message_is_under_way() -> None:
    result = compare([ONE, OTHER], [OTHER, ONE], backlog=False)
    assert (result.wrong, result.late, result.in_flight) == ([ONE, OTHER], [], [])


def test_a_finding_of_both_looks_is_late_while_a_consumer_has_messages_to_handle() -> None:
    result = compare([ONE], [ONE], backlog=True)
    assert (result.wrong, result.late, result.in_flight) == ([], [ONE], [])


@pytest.mark.parametrize("backlog", [True, False])
def test_a_finding_of_one_look_only_was_in_flight(*, backlog: bool) -> None:
    result = compare([ONE], [OTHER], backlog=backlog)
    assert (result.wrong, result.late, result.in_flight) == ([], [], [ONE, OTHER])


@pytest.mark.parametrize("check", sorted(HOLD_ALWAYS))
def test_what_holds_at_every_moment_is_wrong_though_messages_are_under_way(check: str) -> None:
    finding = Finding(check, "customer 1", "is wrong")
    assert compare([finding], [finding], backlog=True).wrong == [finding]
