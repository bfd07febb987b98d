import pytest

from contracts.registry import EventRegistry, UnknownType
from contracts.wire import Event, UnreadablePayload


class Planted(Event):
    tree_id: int


class Felled(Event):
    tree_id: int


class Unregistered(Event):
    pass


TREES = EventRegistry[Planted | Felled]({"TreePlanted": Planted, "TreeFelled": Felled})


def test_an_event_type_is_the_registered_name_and_not_the_name_of_the_class() -> None:
    assert TREES.type_of(Planted(tree_id=1)) == "TreePlanted"


def test_an_event_is_read_by_the_class_of_its_type() -> None:
    assert TREES.read("TreeFelled", b'{"treeId": 1}') == Felled(tree_id=1)


def test_a_type_that_is_not_registered_is_told_apart_from_a_payload_that_does_not_match() -> None:
    with pytest.raises(UnknownType, match="TreeMoved"):
        TREES.read("TreeMoved", b'{"treeId": 1}')
    with pytest.raises(UnreadablePayload, match="treeId"):
        TREES.read("TreeFelled", b"{}")


def test_a_class_that_is_not_registered_is_not_written() -> None:
    registry = EventRegistry[Event]({"TreePlanted": Planted})
    with pytest.raises(KeyError):
        registry.type_of(Unregistered())


def test_several_types_may_be_read_by_one_class() -> None:
    registry = EventRegistry[Planted]({"TreePlanted": Planted, "TreeReplanted": Planted})
    assert registry.read("TreeReplanted", b'{"treeId": 1}') == Planted(tree_id=1)
