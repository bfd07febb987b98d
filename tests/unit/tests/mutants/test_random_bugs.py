"""What is made of mutmut's results: shares by file, and survivors that somebody has to judge."""

from collections import Counter
from pathlib import Path

import pytest

from tests.mutants.random_bugs import JUDGED, Outcome, Survivor, file_of, read_judged, report, survivor

DIFFERENCE = """\
# services.order.domain.x_place__mutmut_3: survived
--- services/order/domain.py
+++ services/order/domain.py
@@ -1,3 +1,3 @@
 def place(order_id):
-    order = Order(order_id)
+    order = Order(None)
     return order
"""
BUG = Survivor("services/order/domain.py", "order = Order(order_id)", "order = Order(None)")


def _outcome(found: int, *survivors: Survivor) -> Outcome:
    file = "services/order/domain.py"
    return Outcome(Counter({file: 10}), Counter({file: found}), list(survivors))


def test_a_survivor_is_known_by_its_file_and_the_lines_that_differ() -> None:
    assert file_of("services.order.domain.x_place__mutmut_3") == "services/order/domain.py"
    assert file_of("messaging.pull.xǁDeliveryǁnak__mutmut_1") == "messaging/pull.py"
    assert survivor("services/order/domain.py", DIFFERENCE) == BUG


def test_a_survivor_that_nobody_has_judged_fails_the_run_and_is_shown() -> None:
    lines, passed = report(_outcome(9, BUG), judged=[])
    assert not passed
    assert any("not judged" in line and "Order(None)" in line for line in lines)


def test_a_run_passes_with_judged_survivors_only() -> None:
    lines, passed = report(_outcome(9, BUG), judged=[BUG])
    assert passed
    assert lines[-1] == "9 of 10 random bugs were found (90.0%); 0 survivors are not judged"


@pytest.mark.parametrize("found", [0, 8])
def test_too_few_bugs_that_were_found_fail_the_run_whatever_is_judged(found: int) -> None:
    assert not report(_outcome(found, BUG), judged=[BUG])[1]
    assert not report(Outcome(Counter(), Counter(), []), judged=[])[1]


def test_a_judgement_that_is_not_needed_any_more_is_shown() -> None:
    lines, passed = report(_outcome(10), judged=[BUG])
    assert passed
    assert any("judged, but does not survive" in line for line in lines)


def test_each_judged_survivor_has_a_reason_and_its_line_in_the_code() -> None:
    for bug in read_judged(JUDGED):
        text = " ".join((Path(JUDGED).parents[2] / bug.file).read_text(encoding="utf-8").split())
        assert " ".join(bug.before.split()) in text, bug
