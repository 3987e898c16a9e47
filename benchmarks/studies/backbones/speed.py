"""Milliseconds of the networks alone, a frame at a time, in turns: what other processes take falls on all."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.lib.conditions import conditions
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import say
from benchmarks.studies.backbones.configurations import DEFAULT, HERE
from panda_edge.bundle.model import Model, default_threads
from panda_export.graph import DeviceGraph
from panda_export.int8 import quantise
from panda_export.onnx_file import write_onnx
from panda_train import backbones

_TURNS = 40
_QUIET = 0.25  # quantile of times: what else runs only adds
_LITE = "efficientnet-lite"
_NETWORKS = {
    DEFAULT: (f"{_LITE}0", 224),
    "lite0 128": (f"{_LITE}0", 128),
    "lite0 256": (f"{_LITE}0", 256),
    "lite0 320": (f"{_LITE}0", 320),
    "lite1 224": (f"{_LITE}1", 224),
    "lite2 224": (f"{_LITE}2", 224),
    "lite0 + lite1 224": (f"{_LITE}0+{_LITE}1", 224),
}


def measure() -> None:
    """The row `network time`: of each network, over the default's."""
    random = np.random.default_rng(0)
    models: dict[str, tuple[Model, np.ndarray]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (network, side) in _NETWORKS.items():
            path, frames = Path(folder) / "model.onnx", random.integers(0, 256, (8, side, side, 3), dtype=np.uint8)
            outputs = ("embedding", "level16", "level8", "level4")
            write_onnx(DeviceGraph(backbones.untrained_any(network)), path, side, side, outputs, {})
            models[name] = Model(path, default_threads()), frames[:1]
            if name in (DEFAULT, "lite0 128"):
                small = Path(folder) / "int8.onnx"
                quantise(path, small, frames)
                models[f"{name} int8"] = Model(small, default_threads()), frames[:1]
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(_TURNS):
        for name, (model, frame) in models.items():
            started = time.perf_counter()
            model.run(frame)
            times[name].append(time.perf_counter() - started)
    quiet = {name: float(np.quantile(taken, _QUIET)) for name, taken in times.items()}
    ratios = {name: round(taken / quiet[DEFAULT], 2) for name, taken in quiet.items()}
    ResultsFile("results", HERE).update("network time", over_default=ratios, conditions=conditions(default_threads()))
    say(str(ratios))
