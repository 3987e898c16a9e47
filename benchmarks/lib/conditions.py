"""What a figure depends on: processor, instruction set, threads, versions."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.lib.subject import REPOSITORY
from panda_edge import kernel
from panda_edge.inspect.machine import cpu_name

PACKAGES = ("panda-edge", "numpy", "onnxruntime", "hnswlib", "faiss-cpu", "pillow", "torch", "scikit-learn")


def conditions(threads: int, packages: Iterable[str] = PACKAGES) -> dict[str, Any]:
    """The facts beside every table, at this moment. `load` is the machine's 1-minute load average (of others, too)."""
    return {
        "time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": commit(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": threads,
        "simd": kernel.simd_level(),
        "load": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": {name: found for name in packages if (found := _version(name))},
    }


def measured() -> dict[str, str]:
    """What every row says of itself."""
    return {"commit": commit(), "cpu": cpu_name(), "time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}


def in_words(facts: dict[str, Any], moment: str = "when the run began") -> str:
    """One paragraph."""
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['threads']} threads, SIMD level {facts['simd']}; "
        f"{facts['system']}; {versions}; commit {facts['commit']}, {facts['time']}, "
        f"load average {facts['load']} {moment}."
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def commit() -> str:
    """The repository's, abbreviated; `unknown` outside a clone."""
    command = ["git", "-C", str(REPOSITORY), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
