"""Two versions of a service share a durable consumer: its subjects are the union of what both subscribe to."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from messaging.streams import DurableConsumer, ensure_consumer, retry_subject

CONSUMER = DurableConsumer("order", ("events.customer.>",))
RETRY = retry_subject("order")


@dataclass
class Answer:
    data: bytes


@dataclass
class Server:
    """JetStream's API, with a consumer that a version created before.

    Attributes:
        subjects: the ones of that version.
        config: what the server says instead, for a consumer that no version of the service created.
        changed: the filters after the call; None if the consumer was left as it is.
    """

    subjects: tuple[str, ...] = CONSUMER.subjects
    config: dict[str, Any] | None = None
    changed: list[str] | None = field(default=None, init=False)

    async def request(self, subject: str, payload: bytes, timeout: float) -> Answer:  # noqa: ARG002, ASYNC109
        answer: dict[str, Any] = {}
        if "CONSUMER.INFO" in subject:
            config = replace(CONSUMER, subjects=self.subjects).config()
            answer = {"delivered": {"stream_seq": 1}, "config": self.config or config}
        elif "STREAM.INFO" in subject:
            answer = {"state": {"last_seq": 1}}
        else:
            self.changed = json.loads(payload)["config"]["filter_subjects"]
        return Answer(json.dumps(answer).encode())


async def _filters(server: Any, consumer: DurableConsumer = CONSUMER) -> list[str] | None:
    await ensure_consumer(server, consumer)
    return sorted(server.changed) if server.changed is not None else None


async def test_subjects_that_another_version_added_are_kept() -> None:
    server = Server(subjects=("events.order.*.OrderCreated",))
    assert await _filters(server) == ["events.customer.>", "events.order.*.OrderCreated", RETRY]


@pytest.mark.parametrize("narrow", ["events.customer.*.CustomerCreated", "events.customer.*.*", "events.customer.0.>"])
async def test_a_subject_that_another_one_covers_is_left_out_because_the_server_refuses_filters_that_overlap(
    narrow: str,
) -> None:
    assert await _filters(Server(subjects=(narrow,))) == ["events.customer.>", RETRY]


@pytest.mark.parametrize("wide", ["events.customer.*.*", "events.customer.>", "events.*.*.CustomerCreated"])
async def test_a_consumer_whose_subjects_cover_the_wanted_ones_is_left_as_it_is(wide: str) -> None:
    wanted = replace(CONSUMER, subjects=("events.customer.*.CustomerCreated",))
    assert await _filters(Server(subjects=(wide,)), wanted) is None


@pytest.mark.parametrize("other", ["events.customer", "events.customers.>", "events.order.*.*"])
async def test_a_subject_that_covers_only_a_part_of_another_name_is_no_reason_to_leave_it_out(other: str) -> None:
    assert await _filters(Server(subjects=(other,))) == sorted(["events.customer.>", other, RETRY])


@pytest.mark.parametrize(
    ("config", "filters"),
    [
        (
            {"filter_subject": "events.order.*.OrderCreated"},
            ["events.customer.>", "events.order.*.OrderCreated", RETRY],
        ),
        ({"durable_name": "order"}, ["events.customer.>", RETRY]),
    ],
    ids=["one filter", "no filter"],
)
async def test_a_consumer_that_an_operator_created_with_one_filter_or_none_is_changed_too(
    config: dict[str, Any], filters: list[str]
) -> None:
    assert await _filters(Server(config=config)) == filters
