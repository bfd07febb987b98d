"""Sections as tables."""

from bench.figures import Section
from bench.table import render


def test_a_single_run_is_told_without_a_spread() -> None:
    section = Section("Throughput")
    section.add("APPROVED", "orders/s", 1234.5)
    assert render(section) == (
        "### Throughput\n\n"
        "| figure   | unit     | median |\n"
        "| -------- | -------- | -----: |\n"
        "| APPROVED | orders/s |  1,230 |"
    )


def test_several_runs_are_told_as_their_median_and_its_spread() -> None:
    section = Section("Throughput")
    section.add("APPROVED", "orders/s", 1500.0, 1400.0, 1600.0)
    assert "| APPROVED | orders/s | 1,500 (1,400 - 1,600) |" in render(section)


def test_percentiles_stand_beside_each_other_and_other_figures_in_a_table_of_their_own() -> None:
    section = Section("Latency", notes=["From the moment at which the POST was due."])
    section.add_line("POST to APPROVED", "ms", [{"p50": 15.0, "p99": 35.0}])
    section.add_line("view behind", "ms", [{"p50": 8.0, "p99": 23.0}])
    section.add("mean of hop: bridge", "ms", 3.0)
    _, first, second, note = render(section).split("\n\n")
    assert first.splitlines()[0].split("|")[1:-1] == [" figure           ", " unit ", " p50 ", " p99 "]
    assert first.splitlines()[2:] == [
        "| POST to APPROVED | ms   |  15 |  35 |",
        "| view behind      | ms   |   8 |  23 |",
    ]
    assert second.splitlines()[2:] == ["| mean of hop: bridge | ms   |      3 |"]
    assert note == "From the moment at which the POST was due."
