"""./saga itself: what it says before it comes to look at anything."""

import pytest
from click.testing import CliRunner

from operations.__main__ import saga


def test_a_stack_that_does_not_exist_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTGRES_URL", raising=False)
    said = CliRunner().invoke(saga, ["--name", "nosuch", "audit"])
    assert said.exit_code == 1
    assert said.output == 'Error: there is no stack "nosuch": `make up NAME=nosuch` starts one, --name takes another\n'
