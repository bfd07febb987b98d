"""Which tests look for a planted bug, and in which order."""

from tests.mutants.mutant import Area, Mutant
from tests.mutants.suites import steps_for

AREA = Area(("unit", "simulation", "engines"), ())


def _bug(file: str, found_by: str = "") -> Mutant:
    return Mutant("a bug", file, "old", "new", found_by)


def test_the_unit_tests_of_the_changed_file_run_first_and_the_suites_of_the_area_follow() -> None:
    steps = list(steps_for(_bug("messaging/pull.py"), AREA))
    assert [step.name for step in steps] == ["named", "unit", "simulation", "engines"]
    assert "tests/unit/messaging/test_pull.py" in steps[0].arguments
    assert [step.needs_stack for step in steps] == [False, False, False, True]


def test_tests_that_a_bug_names_run_before_the_suites() -> None:
    bug = _bug("infra/nats/nats-server.conf", "tests/unit/infra tests/integration/infra/test_guarantees.py")
    steps = list(steps_for(bug, AREA))
    assert [step.name for step in steps] == ["named", "named, on a stack", "unit", "simulation", "engines"]
    assert steps[0].arguments[-1] == "tests/unit/infra"
    assert steps[1].arguments[-1] == "tests/integration/infra/test_guarantees.py"


def test_the_tests_of_a_file_include_those_of_its_aspects_and_no_others() -> None:
    step = next(steps_for(_bug("messaging/consumer.py"), AREA))
    paths = [path for path in step.arguments if path.startswith("tests/")]
    assert {f"tests/unit/messaging/test_consumer{aspect}.py" for aspect in ("", "_linger")} <= set(paths)
    assert all(path.startswith("tests/unit/messaging/test_consumer") for path in paths)
