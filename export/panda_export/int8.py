"""An int8 backbone: static quantisation by onnxruntime, kept only where it is faster here."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from panda_edge.bundle.model import Model, default_threads

CALIBRATION_IMAGES = 64
_QUANTISED = ["Conv", "Add", "Clip"]
_TIMED_RUNS = 30
_WORTHWHILE = 0.95  # of the float model's time


def quantise_if_faster(path: Path, frames: Sequence[np.ndarray]) -> bool:
    """Replace the model at `path` by its int8 form, where that is faster on this machine; says so on stderr.

    frames: normal ones, uint8 (height, width, 3), whose activations set the ranges. Returns whether it was replaced.
    """
    quantised = path.with_suffix(".int8.onnx")
    quantise(path, quantised, frames)
    ratio = speed_ratio(quantised, path, frames[0])
    if ratio > _WORTHWHILE:
        print(f"--precision int8: takes {ratio:.2f} of the float32 time here; float32 is kept", file=sys.stderr)
        quantised.unlink()
        return False
    print(f"--precision int8: takes {ratio:.2f} of the float32 time here", file=sys.stderr)
    os.replace(quantised, path)
    return True


def quantise(path: Path, target: Path, frames: Sequence[np.ndarray]) -> None:
    """Write the int8 form of a model: weights by channel, activations by tensor, inputs and outputs as they were."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # its advice on pre-processing does not apply: shapes are in the graph
    try:
        quantize_static(
            str(path),
            str(target),
            _Calibration(frames),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_QUANTISED,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    finally:
        logger.setLevel(level)
    model, original = onnx.load(str(target)), onnx.load(str(path))
    model.ClearField("metadata_props")
    properties = {entry.key: entry.value for entry in original.metadata_props}
    onnx.helper.set_model_props(model, {**properties, "precision": "int8"})
    target.write_bytes(model.SerializeToString(deterministic=True))


def speed_ratio(path: Path, baseline: Path, frame: np.ndarray) -> float:
    """Median time of one model over another's, a frame at a time, turn and turn about."""
    models = [Model(model, default_threads()) for model in (path, baseline)]
    times: list[list[float]] = [[], []]
    for _ in range(_TIMED_RUNS):
        for model, taken in zip(models, times, strict=True):
            started = time.perf_counter()
            model.run(frame[None])
            taken.append(time.perf_counter() - started)
    return float(np.median(times[0]) / np.median(times[1]))


class _Calibration(CalibrationDataReader):
    def __init__(self, frames: Sequence[np.ndarray]) -> None:
        self._frames: Iterator[np.ndarray] = iter(frames)

    def get_next(self) -> dict[str, Any] | None:
        frame = next(self._frames, None)
        return None if frame is None else {"frames": frame[None]}
