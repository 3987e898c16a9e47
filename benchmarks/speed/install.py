"""What the base install takes: disk and import time, in a fresh environment; beside anomalib's where there is one."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import CACHE, REPOSITORY, say

_SIZE_OF_PIP = ("pip", "setuptools", "pkg_resources", "_distutils_hack")  # venv brings these by itself


def measure_install(rows: ResultsFile, peers: Path | None) -> None:
    """Megabytes and packages of `pip install .`, and milliseconds of `import panda_edge`; likewise for anomalib."""
    folder = CACHE / "device-venv"
    shutil.rmtree(folder, ignore_errors=True)
    say("install: a fresh environment with the base install")
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", str(REPOSITORY)], check=True, capture_output=True)
    seconds = time.perf_counter() - started
    rows.update("panda-edge", **_measured(python, "panda_edge"), install_s=round(seconds, 1))
    if peers:
        say("install: anomalib's environment")
        rows.update("anomalib", **_measured(peers, "anomalib.deploy"))


def _measured(python: Path, package: str) -> dict[str, float | int]:
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.run([str(python), "-c", where], capture_output=True, text=True, check=True).stdout.strip())
    kept = [entry for entry in site.iterdir() if not entry.name.startswith(_SIZE_OF_PIP)]
    files = [file for entry in kept for file in (entry.rglob("*") if entry.is_dir() else [entry]) if file.is_file()]
    packages = [entry for entry in kept if entry.name.endswith(".dist-info")]
    times = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([str(python), "-W", "ignore", "-c", f"import {package}"], check=True, capture_output=True)
        times.append((time.perf_counter() - started) * 1e3)
    return {
        "mb": round(sum(file.stat().st_size for file in files) / 1e6, 1),
        "packages": len(packages),
        "import_ms": round(sorted(times)[len(times) // 2], 1),
    }
