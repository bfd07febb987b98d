"""The figures of a run, and a picture of it."""

import json
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from matplotlib.figure import Figure

from tests.chaos.ledger import Ledger
from tests.chaos.nemesis import Fault

COLOURS = {"kill": "tab:red", "pause": "tab:orange", "restart": "tab:blue"}


def summary(
    ledger: Ledger, faults: list[Fault], looks: int, seconds: float, seed: int, violations: list[str]
) -> dict[str, Any]:
    recoveries = [fault.flowing_after for fault in faults if fault.flowing_after is not None]
    latencies = [r.final_after * 1000 for r in ledger.requests if r.final_after is not None]
    return {
        "seed": seed,
        "seconds": round(seconds, 1),
        "orders": len(ledger.requests),
        "orders per second": round(len(ledger.requests) / seconds, 1),
        "outcomes": ledger.outcomes(),
        "attempts": sum(request.attempts for request in ledger.requests),
        "faults": len(faults),
        "faults that struck": sum(fault.struck for fault in faults),
        "looks at the limits": looks,
        "recovery seconds": {"median": round(median(recoveries), 2), "max": round(max(recoveries), 2)}
        if recoveries
        else {},
        "final after ms": {"p50": round(median(latencies)), "p99": round(quantiles(latencies, n=100)[98])}
        if len(latencies) > 1
        else {},
        "violations": violations,
        "each fault": [fault.as_json() for fault in faults],
    }


def write(folder: Path, result: dict[str, Any], ledger: Ledger, faults: list[Fault], began: float) -> None:
    """Writes chaos.json and chaos.png."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chaos.json").write_text(json.dumps(result, indent=2) + "\n")
    picture(ledger, faults, began).savefig(folder / "chaos.png", dpi=120)


def picture(ledger: Ledger, faults: list[Fault], began: float) -> Figure:
    """Orders each second, those that were repeated, and the time to the final state; the faults are marked."""
    figure = Figure(figsize=(14, 7), layout="constrained")
    rate, latency = figure.subplots(2, 1, sharex=True)
    sent = [request.sent - began for request in ledger.requests]
    repeated = [request.sent - began for request in ledger.requests if request.attempts > 1]
    bins = range(int(max(sent, default=0)) + 2)
    rate.hist(sent, bins=list(bins), color="tab:green", label="orders placed")
    rate.hist(repeated, bins=list(bins), color="tab:purple", label="of these, sent more than once")
    rate.set_ylabel("orders each second")
    followed = [(r.sent - began, r.final_after * 1000) for r in ledger.requests if r.final_after is not None]
    latency.scatter([at for at, _ in followed], [ms for _, ms in followed], s=4, color="tab:green")
    latency.set_yscale("log")
    latency.set_ylabel("ms from POST to final")
    latency.set_xlabel("seconds")
    for fault in faults:
        for axes in (rate, latency):
            axes.axvspan(fault.at, fault.at + (fault.flowing_after or 0), color=COLOURS[fault.action], alpha=0.25)
        rate.text(
            fault.at,
            1.01,
            f"{fault.action} {'+'.join(fault.components)}",
            rotation=60,
            fontsize=6,
            transform=rate.get_xaxis_transform(),
        )
    rate.legend(loc="lower right")
    return figure
