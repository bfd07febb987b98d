"""Sections as tables."""

from bench.figures import Section
from bench.table import render


def test_a_figure_of_a_single_run_is_shown_without_a_spread() -> None:
    section = Section("Throughput")
    section.add("APPROVED", "orders/s", 1234.5)
    assert render(section) == (
        "### Throughput\n\n"
        "| figure   | unit     | median |\n"
        "| -------- | -------- | -----: |\n"
        "| APPROVED | orders/s |  1,230 |"
    )


def test_a_figure_of_several_runs_is_shown_as_the_median_with_minimum_and_maximum() -> None:
    section = Section("Throughput")
    section.add("APPROVED", "orders/s", 1500.0, 1400.0, 1600.0)
    assert "| APPROVED | orders/s | 1,500 (1,400 - 1,600) |" in render(section)


def test_rows_with_the_same_columns_share_a_table_and_the_notes_follow() -> None:
    section = Section("Latency", notes=["The time begins when the POST is due."])
    section.add_columns("POST to APPROVED", "ms", [{"p50": 15.0, "p99": 35.0}])
    section.add_columns("view behind", "ms", [{"p50": 8.0, "p99": 23.0}])
    section.add("mean of hop: bridge", "ms", 3.0)
    _, first, second, note = render(section).split("\n\n")
    assert first.splitlines()[0].split("|")[1:-1] == [" figure           ", " unit ", " p50 ", " p99 "]
    assert first.splitlines()[2:] == [
        "| POST to APPROVED | ms   |  15 |  35 |",
        "| view behind      | ms   |   8 |  23 |",
    ]
    assert second.splitlines()[2:] == ["| mean of hop: bridge | ms   |      3 |"]
    assert note == "The time begins when the POST is due."
