"""The machine on which the figures were measured, and the date."""

import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

GIBIBYTE = 2**30

ITERATIONS = 10_000_000
"""Of an empty loop. Its speed shows how fast a core is at present: on a shared machine it changes."""


def describe() -> dict[str, str]:
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{psutil.virtual_memory().total / GIBIBYTE:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "speed": f"{_million_iterations_per_second():.0f} million iterations/s of an empty Python loop",
    }


def _processor() -> str:
    """The name of the model; the architecture where the kernel does not give the model."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _million_iterations_per_second() -> float:
    began = time.process_time()
    for _ in range(ITERATIONS):
        pass
    return ITERATIONS / (time.process_time() - began) / 1e6
