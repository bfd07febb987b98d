"""The benchmark runs: a few seconds of it, so that it cannot rot. How fast anything is, is no test's business."""

import json
from pathlib import Path

from bench import guarantees, hops, latency, report, throughput
from bench.figures import Section
from bench.kafka_log import open_kafka_log
from bench.rig import open_rig
from infra.native import Stack


async def test_throughput_and_latency_are_measured_and_reported(stack: Stack, tmp_path: Path) -> None:
    async with open_rig(stack) as rig, open_kafka_log(rig.settings) as log:
        kept = await guarantees.check(rig)
        customers = await rig.create_customers(3)
        sustained = await throughput.measure(rig, customers, 1.0, connections=4, max_in_flight=100)
        followed = await latency.measure(rig, log, customers, 20, 1.0)
        single = await latency.measure(rig, log, customers, 0, 4)
    assert kept == guarantees.WANTED
    assert sustained.rate > 0
    assert sustained.cpu["order"] > 0
    assert len(followed.latencies) == 20
    assert len(single.latencies) == 4
    assert list(followed.hops) == list(hops.HOPS)
    assert 0 < sum(followed.hops.values()) <= max(followed.latencies)
    assert_reported(tmp_path, kept, [throughput.section("Throughput", [sustained]), latency.section(20, [followed])])


def assert_reported(folder: Path, kept: dict[str, str], sections: list[Section]) -> None:
    report.write(folder, {"cores": "2"}, kept, sections)
    written = json.loads((folder / "bench.json").read_text())
    assert [part["title"] for part in written["parts"]] == ["Throughput", "Latency at 20 orders/s"]
    assert "POST to APPROVED, Prefer: wait" in (folder / "bench.md").read_text()
    pictures = {path.name for path in folder.glob("*.png")}
    assert pictures == {"bench-latency.png", "bench-throughput.png", "bench-cost.png"}
