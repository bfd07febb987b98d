"""The event registry: explicit wire names, whatever the classes are called."""

import pytest

from contracts.registry import EventRegistry, UnknownType
from contracts.wire import Event, Id, UnreadablePayload


class Placed(Event):
    order_id: Id


class Withdrawn(Event):
    order_id: Id


REGISTRY = EventRegistry[Placed | Withdrawn]({"OrderCreated": Placed, "OrderCancelled": Withdrawn})


def test_an_event_has_the_wire_name_that_its_class_is_registered_under() -> None:
    assert REGISTRY.type_of(Placed(order_id=1)) == "OrderCreated"
    assert REGISTRY.type_of(Withdrawn(order_id=1)) == "OrderCancelled"


def test_a_wire_name_is_read_as_the_class_that_is_registered_for_it() -> None:
    assert REGISTRY.read("OrderCreated", b'{"orderId": 1}') == Placed(order_id=1)
    assert REGISTRY.read("OrderCancelled", b'{"orderId": 1}') == Withdrawn(order_id=1)


@pytest.mark.parametrize("event_type", ["OrderShipped", "Placed", "ordercreated", ""])
def test_a_type_that_is_not_registered_is_named(event_type: str) -> None:
    with pytest.raises(UnknownType, match=f"^{event_type} is not an event type"):
        REGISTRY.read(event_type, b"{}")


def test_a_payload_that_does_not_match_its_class_is_refused() -> None:
    with pytest.raises(UnreadablePayload, match="orderId"):
        REGISTRY.read("OrderCreated", b'{"orderId": "1"}')


def test_an_event_of_a_class_that_is_not_registered_has_no_wire_name() -> None:
    created_only = EventRegistry[Placed | Withdrawn]({"OrderCreated": Placed})
    with pytest.raises(KeyError):
        created_only.type_of(Withdrawn(order_id=1))


def test_a_class_under_several_names_is_read_under_each_and_has_no_wire_name_to_be_written_under() -> None:
    shared = EventRegistry[Placed]({"OrderCreated": Placed, "OrderApproved": Placed})
    assert shared.read("OrderApproved", b'{"orderId": 1}') == Placed(order_id=1)
    with pytest.raises(KeyError):
        shared.type_of(Placed(order_id=1))


def test_a_change_of_the_given_mapping_does_not_change_the_registry() -> None:
    types: dict[str, type[Placed]] = {"OrderCreated": Placed}
    registry = EventRegistry[Placed](types)
    types["OrderShipped"] = Placed
    with pytest.raises(UnknownType):
        registry.read("OrderShipped", b'{"orderId": 1}')
