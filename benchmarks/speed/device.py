"""`panda-edge bench` itself, in a process of its own: what a device's user sees, memory and cold start included."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import Subject, say
from benchmarks.speed.bank_table import CONFIGURATIONS, README, Configuration, keys

_BENCH = "import sys; from panda_edge.commands.app import main; sys.argv[0] = 'panda-edge'; main()"


def measure_device(
    subject: Subject, banks: ResultsFile, rows: ResultsFile, threads: int, frames: int = 120, rounds: int = 3
) -> None:
    """Bench the chosen configurations in turns; a row holds the round with the median frame rate."""
    chosen = _chosen(subject, banks)
    reports: dict[str, list[dict[str, Any]]] = {key: [] for key, _ in chosen}
    images = [str(path) for path in dict.fromkeys(subject.images(frames))]
    for turn in range(rounds):
        for key, configuration in chosen:
            say(f"panda-edge bench, round {turn + 1} of {rounds}: {configuration.name}")
            bundle = subject.bundle(configuration.args)
            options = ["--threads", str(threads), "--frames", str(frames), "--json"]
            command = [sys.executable, "-c", _BENCH, "bench", str(bundle), *images, *options]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            reports[key].append(json.loads(done.stdout))
    for key, found in reports.items():
        by_rate = sorted(found, key=lambda report: report["fps"])
        cold = sorted(report["cold_start_ms"] for report in found)
        rows.update(key, bench=by_rate[len(by_rate) // 2], cold_start_ms=cold[len(cold) // 2], rounds=rounds)


def _chosen(subject: Subject, banks: ResultsFile) -> list[tuple[str, Configuration]]:
    pairs = zip(keys(subject), CONFIGURATIONS, strict=True)
    return [(key, c) for key, c in pairs if c.name in README and "accuracy" in banks.get(key)]
