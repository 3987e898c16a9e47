"""Facts about the machine that a figure depends on."""

from __future__ import annotations

import platform
import sys
from pathlib import Path


def cpu_name() -> str:
    """The processor's name, as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model", "Hardware"):
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def memory_mb() -> dict[str, float]:
    """This process's memory, MB: `peak` resident so far; now `own` (backed by no file), `mapped` (banks, libraries)."""
    try:
        fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        in_mb = {key: int(fields[key].split()[0]) / 1024 for key in ("VmHWM", "RssAnon", "RssFile")}
        return {"peak": in_mb["VmHWM"], "own": in_mb["RssAnon"], "mapped": in_mb["RssFile"]}
    except (OSError, KeyError, ValueError):
        import resource

        unit = 1024 * 1024 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        return {"peak": peak, "own": peak, "mapped": 0.0}
