"""The catalogue of planted bugs fits the code: each text that it changes stands there exactly once."""

from pathlib import Path

import pytest

from tests.mutants.areas import AREAS, MUTANTS
from tests.mutants.mutant import Mutant
from tests.mutants.suites import SUITES

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_has_its_place_in_the_code(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.old != mutant.new


def test_there_are_at_least_120_planted_bugs_with_names_of_their_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 120


def test_the_tests_and_suites_that_look_for_bugs_exist() -> None:
    named = {path for mutant in MUTANTS for path in mutant.found_by.split()}
    assert {path for path in named if not (ROOT / path).exists()} == set()
    assert {name for area in AREAS.values() for name in area.suites} <= SUITES.keys()
