"""Where and when the figures were taken."""

import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

GIBIBYTE = 2**30

TURNS = 10_000_000
"""Of a loop that tells how fast a core is now: a shared machine is not always as fast."""


def describe() -> dict[str, str]:
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{psutil.virtual_memory().total / GIBIBYTE:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "speed": f"{_million_turns_per_second():.0f} million turns/s of a Python loop",
    }


def _processor() -> str:
    """The model's name, where the kernel tells one."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _million_turns_per_second() -> float:
    began = time.process_time()
    for _ in range(TURNS):
        pass
    return TURNS / (time.process_time() - began) / 1e6
