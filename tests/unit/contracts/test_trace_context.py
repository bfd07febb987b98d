import pytest

from contracts.trace_context import valid_traceparent
from tests.builders import TRACEPARENT


def test_a_w3c_traceparent_is_kept_as_it_is() -> None:
    assert valid_traceparent(TRACEPARENT) == TRACEPARENT


@pytest.mark.parametrize(
    "value", [None, "", "00", TRACEPARENT.upper(), TRACEPARENT + "-more", f" {TRACEPARENT}", f"{TRACEPARENT}\n"]
)
def test_an_invalid_traceparent_is_ignored(value: str | None) -> None:
    assert valid_traceparent(value) is None
