"""What the keeper changes of a connector and of a topic, and what it leaves."""

from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from confluent_kafka.admin import NewPartitions

from infra.provision.connectors import Connector, _reconcile_one
from infra.provision.kafka import Topic, _add_partitions

DECLARED = Connector("order-outbox", {"slot.name": "order_outbox"})


def _reconcile(present: dict[str, str]) -> tuple[list[str], list[str]]:
    """What is changed of a running connector with this configuration, and the calls that change something."""
    calls: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method != "GET":
            calls.append(f"{request.method} {request.url.path}")
        if request.url.path.endswith("/status"):
            return httpx.Response(200, json={"connector": {"state": "RUNNING"}, "tasks": [{"state": "RUNNING"}]})
        return httpx.Response(200, json=present)

    with httpx.Client(base_url="http://connect", transport=httpx.MockTransport(answer)) as api:
        return _reconcile_one(api, DECLARED), calls


def test_a_connector_as_declared_is_left_alone() -> None:
    assert _reconcile(DECLARED.config | {"name": "order-outbox"}) == ([], [])


@pytest.mark.parametrize("present", [{"slot.name": "another"}, DECLARED.config | {"snapshot.mode": "never"}])
def test_a_connector_with_a_changed_or_an_additional_option_is_registered_again(present: dict[str, str]) -> None:
    changes, calls = _reconcile(present | {"name": "order-outbox"})
    assert changes == ["registered the connector order-outbox"]
    assert calls == ["PUT /connectors/order-outbox/config"]


class Admin:
    """Kafka's administration client; refuses fewer partitions, as Kafka does."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def create_partitions(self, new: Sequence[NewPartitions]) -> dict[str, Any]:
        self.asked += [partitions.topic for partitions in new]
        return {}


@pytest.mark.parametrize(("present", "grown"), [(1, ["events.order"]), (2, []), (3, [])])
def test_partitions_are_only_added(present: int, grown: list[str]) -> None:
    admin: Any = Admin()
    _add_partitions(admin, [Topic("events.order", 2, {})], {"events.order": present})
    assert admin.asked == grown
