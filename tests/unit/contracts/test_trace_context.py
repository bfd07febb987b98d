import pytest

from contracts.trace_context import valid_traceparent
from tests.builders import TRACEPARENT

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT_ID = "b7ad6b7169203331"


@pytest.mark.parametrize("value", [TRACEPARENT, f"00-{TRACE_ID}-{PARENT_ID}-00", f"fe-{TRACE_ID}-{PARENT_ID}-ff"])
def test_a_valid_traceparent_is_returned_unchanged(value: str) -> None:
    assert valid_traceparent(value) == value


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "00",
        TRACEPARENT.upper(),
        f"{TRACEPARENT}-more",
        f" {TRACEPARENT}",
        f"{TRACEPARENT}\n",
        f"ff-{TRACE_ID}-{PARENT_ID}-01",
        f"00-{'0' * 32}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID[:-1]}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{PARENT_ID}0-01",
        f"00-{TRACE_ID}-{PARENT_ID}",
    ],
)
def test_an_invalid_traceparent_is_ignored(value: str | None) -> None:
    assert valid_traceparent(value) is None
