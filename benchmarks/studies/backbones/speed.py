"""Milliseconds of a whole frame and of its network, in turns: what other processes take falls on all.

The bundles are those that the accuracy was measured with, on one set.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from PIL import Image

import panda_edge
from benchmarks.lib.conditions import conditions
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import say
from benchmarks.studies.backbones.configurations import CONFIGURATIONS, DEFAULT, HERE
from benchmarks.studies.backbones.few import few_of
from benchmarks.studies.map_steps.settings import SETTINGS
from panda_edge.bundle.model import default_threads

TIMED_ON = "metal-nut"
_TURNS = 40
_QUIET = 0.25  # quantile of times: what else runs only adds


def bundle_of(name: str, work: Path) -> Path:
    """Where a configuration's bundle of TIMED_ON is kept."""
    return work / "bundles" / f"{name.replace(': ', '-').replace(', ', '-').replace(' ', '-')}.panda"


def measure(data: Path, work: Path) -> None:
    """The row `time`: of each configuration whose bundle is there, milliseconds, and how many times the default's."""
    test = few_of(SETTINGS[TIMED_ON], data, work).test
    pictures = [np.asarray(Image.open(sample.path).convert("RGB")) for sample in test[:: max(1, len(test) // 8)]]
    detectors = {
        name: panda_edge.load(bundle_of(name, work)) for name in CONFIGURATIONS if bundle_of(name, work).exists()
    }
    whole: dict[str, list[float]] = {name: [] for name in detectors}
    network: dict[str, list[float]] = {name: [] for name in detectors}
    for turn in range(_TURNS):
        for name, detector in detectors.items():
            started = time.perf_counter()
            result = detector.segment(pictures[turn % len(pictures)])
            whole[name].append((time.perf_counter() - started) * 1e3)
            network[name].append(result.stages_ms["backbone"])
    facts = conditions(default_threads())
    row = {name: {"ms": _quiet(whole[name]), "network_ms": _quiet(network[name])} for name in detectors}
    for found in row.values():
        for key in ("ms", "network_ms"):
            found[f"{key}_over_default"] = round(found[key] / row[DEFAULT][key], 2)
    ResultsFile("results", HERE).update("time", of=row, conditions=facts)
    say(str(row))


def _quiet(times: list[float]) -> float:
    return round(float(np.quantile(times, _QUIET)), 1)
