"""The writers, schema, golden example and readers of each event type agree.

A registry (contracts/registry.py) says which class is written or read for which wire name; nothing derives a wire name
from the name of a class.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import contracts
from contracts.registry import EventRegistry
from contracts.wire import Event, UnreadablePayload
from messaging.streams import DurableConsumer
from services.customer import domain as customer_domain
from services.customer.events import AGGREGATE as CUSTOMER
from services.customer.events import CUSTOMER_EVENTS, ORDER_EVENTS, CustomerEvent
from services.customer.events import OrderCreated as OrderCreatedAsRead
from services.customer.subscriptions import ORDERS_CONSUMER
from services.history.events import VIEW_EVENTS
from services.history.subscriptions import VIEW
from services.order import domain as order_domain
from services.order.events import AGGREGATE as ORDER
from services.order.events import CREDIT_DECISIONS, CreditLimitExceeded, CreditReserved, OrderCreated, OrderEvent
from services.order.events import ORDER_EVENTS as WRITTEN_ORDER_EVENTS
from services.order.subscriptions import DECISIONS_CONSUMER
from tests import builders

Json = dict[str, Any]


def _read_folder(name: str) -> dict[str, Json]:
    [root] = contracts.__path__
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (Path(root) / name).glob("*.json")}


SCHEMAS = _read_folder("schemas")
EXAMPLES = _read_folder("examples")
PUBLISHED: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("published_fields.json").read_text())

WRITERS: Mapping[str, Mapping[str, type[Event]]] = {
    CUSTOMER: CUSTOMER_EVENTS.types,
    ORDER: WRITTEN_ORDER_EVENTS.types,
}
"""By aggregate, the event types that its service writes."""

READERS: Mapping[str, Mapping[str, type[Event]]] = {
    "customer": ORDER_EVENTS.types,
    "order": CREDIT_DECISIONS.types,
    "history": VIEW_EVENTS.types,
}
"""By service, the event types that it reads."""

CONSUMERS: Mapping[str, DurableConsumer] = {"customer": ORDERS_CONSUMER, "order": DECISIONS_CONSUMER, "history": VIEW}

READINGS = [(service, event_type) for service, types in READERS.items() for event_type in types]


def _reserve(order_id: int, customer: customer_domain.Customer | None) -> CustomerEvent:
    customer_id = customer.id if customer else 8
    asked = OrderCreatedAsRead.from_json(builders.order_created(order_id, customer_id).to_json())
    event = customer_domain.decide(asked, customer, None).event
    assert event is not None
    return event


def _change(change: order_domain.Change | None) -> OrderEvent:
    assert change is not None
    return change[1]


def _written() -> dict[str, Event]:
    """By wire name, what the domains write in the situations of the golden examples."""
    approved = builders.order(order_domain.OrderState.APPROVED, version=2)
    return {
        "CustomerCreated": customer_domain.created(builders.customer()),
        "CreditReserved": _reserve(42, builders.customer(version=1)),
        "CreditLimitExceeded": _reserve(43, builders.customer(reserved=9_600, version=2)),
        "CustomerValidationFailed": _reserve(44, None),
        "OrderCreated": order_domain.present(builders.order()),
        "OrderApproved": _change(order_domain.settle(builders.order(), CreditReserved(order_id=42))),
        "OrderRejected": _change(order_domain.settle(builders.order(order_id=43), CreditLimitExceeded(order_id=43))),
        "OrderCancelled": _change(order_domain.cancel(approved)),
    }


@pytest.mark.parametrize("event_type", SCHEMAS)
def test_a_schema_is_a_valid_json_schema_titled_with_the_event_type(event_type: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[event_type])
    assert SCHEMAS[event_type]["title"] == event_type


def test_every_event_type_has_a_schema_an_example_published_fields_and_one_writer() -> None:
    written = [event_type for types in WRITERS.values() for event_type in types]
    assert len(written) == len(set(written))
    assert set(written) == SCHEMAS.keys() == EXAMPLES.keys() == PUBLISHED.keys() == _written().keys()


@pytest.mark.parametrize("event_type", SCHEMAS)
def test_what_a_service_writes_is_its_golden_example(event_type: str) -> None:
    event = _written()[event_type]
    assert event_type in _wire_names(event)
    assert json.loads(event.to_json()) == EXAMPLES[event_type]


@pytest.mark.parametrize(("service", "event_type"), READINGS)
def test_every_event_type_that_a_service_reads_has_a_writer(service: str, event_type: str) -> None:
    assert event_type in SCHEMAS


@pytest.mark.parametrize("event_type", SCHEMAS)
def test_a_golden_example_is_valid_by_its_schema(event_type: str) -> None:
    Draft202012Validator(SCHEMAS[event_type]).validate(EXAMPLES[event_type])


@pytest.mark.parametrize("event_type", SCHEMAS)
def test_a_schema_requires_each_of_its_fields(event_type: str) -> None:
    validator = Draft202012Validator(SCHEMAS[event_type])
    for field in SCHEMAS[event_type]["properties"]:
        incomplete = {name: value for name, value in EXAMPLES[event_type].items() if name != field}
        assert not validator.is_valid(incomplete), f"{field} may be missing"


@pytest.mark.parametrize("event_type", SCHEMAS)
def test_a_schema_allows_fields_that_are_added_later(event_type: str) -> None:
    later = EXAMPLES[event_type] | {"addedLater": {"a": [1]}}
    Draft202012Validator(SCHEMAS[event_type]).validate(later)


@pytest.mark.parametrize("event_type", SCHEMAS)
def test_a_schema_refuses_an_amount_that_is_not_a_number_from_0_on(event_type: str) -> None:
    validator = Draft202012Validator(SCHEMAS[event_type])
    for field in (name for name, kind in PUBLISHED[event_type].items() if kind == "money"):
        for amount in ("4", -1, None, True):
            assert not validator.is_valid(EXAMPLES[event_type] | {field: {"amount": amount}})


@pytest.mark.parametrize(("service", "event_type"), READINGS)
def test_a_reader_finds_its_fields_in_the_golden_example_unchanged(service: str, event_type: str) -> None:
    event = READERS[service][event_type].from_json(_encode(EXAMPLES[event_type]))
    understood = json.loads(event.to_json())
    assert understood == {name: EXAMPLES[event_type][name] for name in understood}


@pytest.mark.parametrize(("service", "event_type"), READINGS)
def test_a_reader_ignores_fields_that_it_does_not_know(service: str, event_type: str) -> None:
    reader = READERS[service][event_type]
    later = EXAMPLES[event_type] | {"addedLater": 1, "orderTotal": {"amount": 12.34, "currency": "EUR"}}
    assert reader.from_json(_encode(later)) == reader.from_json(_encode(EXAMPLES[event_type]))


@pytest.mark.parametrize(("service", "event_type"), READINGS)
def test_a_reader_refuses_a_payload_without_one_of_its_required_fields(service: str, event_type: str) -> None:
    reader = READERS[service][event_type]
    for field in _required(reader):
        incomplete = {name: value for name, value in EXAMPLES[event_type].items() if name != field}
        with pytest.raises(UnreadablePayload, match=field):
            reader.from_json(_encode(incomplete))


@pytest.mark.parametrize("service", READERS)
def test_a_service_reads_exactly_the_event_types_that_it_subscribes_to(service: str) -> None:
    aggregates = {event_type: aggregate for aggregate, types in WRITERS.items() for event_type in types}
    expected = {f"events.{aggregates[event_type]}.*.{event_type}" for event_type in READERS[service]}
    subjects = CONSUMERS[service].subjects
    assert len(subjects) == len(expected)
    assert set(subjects) == expected


def test_every_event_type_has_a_reader() -> None:
    assert {event_type for _, event_type in READINGS} == SCHEMAS.keys()


def test_the_view_reads_every_event_type_that_carries_the_state_of_an_order() -> None:
    assert {event_type for event_type, fields in PUBLISHED.items() if "state" in fields} <= VIEW_EVENTS.types.keys()


def test_renaming_a_class_changes_nothing_on_the_wire() -> None:
    class Renamed(OrderCreated):
        """The same event, by another class name."""

    registry = EventRegistry[Event]({**WRITERS[ORDER], "OrderCreated": Renamed})
    event = builders.order_created()
    renamed = Renamed(**dict(event))
    assert registry.type_of(renamed) == WRITTEN_ORDER_EVENTS.type_of(event) == "OrderCreated"
    assert renamed.to_json() == event.to_json()
    assert registry.read("OrderCreated", event.to_json()) == renamed


@pytest.mark.parametrize("event_type", PUBLISHED)
def test_a_published_field_is_never_removed_or_retyped(event_type: str) -> None:
    """Readers that are deployed elsewhere may use the field: add a new event type instead."""
    present = {name: _kind(schema) for name, schema in SCHEMAS[event_type]["properties"].items()}
    assert {name: present.get(name) for name in PUBLISHED[event_type]} == PUBLISHED[event_type]


@pytest.mark.parametrize("event_type", SCHEMAS)
def test_a_new_field_is_in_the_list_of_published_fields(event_type: str) -> None:
    assert set(SCHEMAS[event_type]["properties"]) <= set(PUBLISHED[event_type])


def _wire_names(event: Event) -> set[str]:
    """Every wire name that a registry writes events of this class under."""
    return {name for types in WRITERS.values() for name, event_class in types.items() if type(event) is event_class}


def _required(reader: type[Event]) -> list[str]:
    return [field.alias or name for name, field in reader.model_fields.items() if field.is_required()]


def _kind(schema: Json) -> str:
    if schema.get("$ref") == "#/$defs/money":
        return "money"
    values = [schema["const"]] if "const" in schema else schema.get("enum", [])
    if values:
        return "integer" if all(isinstance(value, int) for value in values) else "string"
    return str(schema["type"])


def _encode(payload: Json) -> bytes:
    return json.dumps(payload).encode()
