"""Peak memory of a device's process, of the default's bundle and of the small one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.lib.conditions import conditions
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import say
from benchmarks.studies.backbones.configurations import CONFIGURATIONS, HERE
from benchmarks.studies.backbones.few import few_of
from benchmarks.studies.backbones.speed import TIMED_ON, bundle_of
from benchmarks.studies.map_steps.settings import SETTINGS

_PICTURES = 20
_ONE = """
import json, sys
import panda_edge, panda_edge.detector
from panda_edge.system import memory_mb
if sys.argv[1]:
    detector = panda_edge.load(sys.argv[1], threads=1)
    for path in sys.argv[2:]:
        detector.segment(path)
said = memory_mb()
print(json.dumps({"peak_mb": round(said["peak"], 1), "own_mb": round(said["own"], 1)}))
"""


def measure(data: Path, work: Path) -> None:
    """The row `memory`: of every configuration whose bundle is there, each in a process of its own."""
    pictures = [str(sample.path) for sample in few_of(SETTINGS[TIMED_ON], data, work).test[:_PICTURES]]
    found = {"libraries alone": {**_peak([""]), "bundle_mb": None}}
    for name in CONFIGURATIONS:
        bundle = bundle_of(name, work)
        if bundle.exists():
            size = sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file())
            found[name] = {**_peak([str(bundle), *pictures]), "bundle_mb": round(size / 1e6, 1)}
    ResultsFile("results", HERE).update("memory", of=found, conditions=conditions(1))
    say(str(found))


def _peak(arguments: list[str]) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", _ONE, *arguments], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))
