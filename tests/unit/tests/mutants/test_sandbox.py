"""A run in a copy: what counts as found, and that the copy is as before afterwards."""

from pathlib import Path

import pytest

from tests.mutants.mutant import Mutant
from tests.mutants.sandbox import DoesNotFit, Sandbox
from tests.mutants.suites import Step

BUG = Mutant("a bug", "code.py", "answer = 1", "answer = 2")


@pytest.fixture
def copy(tmp_path: Path) -> Sandbox:
    (tmp_path / "code.py").write_text("answer = 1\n")
    (tmp_path / ".stack").mkdir()
    return Sandbox(tmp_path)


def _step(program: str, seconds: float = 30.0) -> Step:
    return Step("unit", ("-c", program), seconds)


def test_a_step_that_passes_has_found_nothing(copy: Sandbox) -> None:
    assert copy.run(_step("import code")) is None


def test_the_first_test_that_fails_has_found_the_bug(copy: Sandbox) -> None:
    catch = copy.run(_step("print('FAILED tests/a.py::b - no'); print('ERROR tests/c.py'); raise SystemExit(1)"))
    assert catch is not None
    assert catch.test == "tests/a.py::b"


def test_a_schedule_that_violates_an_invariant_has_found_the_bug(copy: Sandbox) -> None:
    catch = copy.run(_step("print('seed 7 violates: credit'); raise SystemExit(1)"))
    assert catch is not None
    assert catch.test == "seed 7 violates: credit"


@pytest.mark.parametrize(
    ("program", "seconds"),
    [
        ("import threading; threading.Event().wait()", 0.5),
        ("print('+++++++++ Timeout ++++++++++'); raise SystemExit(1)", 30.0),
    ],
    ids=["the run does not end", "a test does not end"],
)
def test_a_run_that_hangs_has_found_the_bug(copy: Sandbox, program: str, seconds: float) -> None:
    catch = copy.run(_step(program, seconds))
    assert catch is not None
    assert catch.test == "hung"


def test_a_bug_is_in_the_copy_in_its_block_only(copy: Sandbox) -> None:
    has_bug = _step("import runpy; assert runpy.run_path('code.py')['answer'] == 2")
    with copy.planted(BUG):
        assert copy.run(has_bug) is None
    assert copy.run(has_bug) is not None


def test_a_bug_that_does_not_fit_the_code_is_refused(copy: Sandbox) -> None:
    (copy.folder / "code.py").write_text("answer = 1; answer = 1\n")
    with pytest.raises(DoesNotFit, match=r"a bug: code\.py has its text 2 times, not once"), copy.planted(BUG):
        raise AssertionError("unreachable")
