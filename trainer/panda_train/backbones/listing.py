"""What `panda-train backbones` says of a network. The weights are random: nothing here depends on them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from panda_edge.bundle.model import Model, default_threads
from panda_export.graph import DeviceGraph
from panda_export.onnx_file import write_onnx
from panda_train import backbones

SIDE = 224
MEASURED = {
    "efficientnet-lite0": {"image_auroc": 0.958, "pro": 0.846},
    "efficientnet-lite1": {"image_auroc": 0.96, "pro": 0.851},
    "efficientnet-lite2": {"image_auroc": 0.961, "pro": 0.857},
    "efficientnet-lite0+efficientnet-lite1": {"image_auroc": 0.959, "pro": 0.852},
}
"""Means over eight sets at 224 pixels, of `benchmarks/studies/backbones/results.json`, which a test compares."""
_TIMED = 20  # frames, after the first


def facts(name: str, timed: bool) -> dict[str, Any]:
    """Ready for JSON. accuracy and milliseconds are None where nothing is measured. Raises PandaError."""
    if name.endswith(".onnx"):
        network: Any = backbones.load_fixed(name, size=(SIDE, SIDE))
        parameters = None
    else:
        network = backbones.untrained_any(name)
        parameters = sum(tensor.numel() for tensor in network.parameters())
    return {
        "name": name,
        "parameters": parameters,
        "input": SIDE,
        "input_multiple": getattr(network, "input_multiple", backbones.INPUT_MULTIPLE),
        "levels": [{"stride": level.stride, "channels": level.channels} for level in network.levels],
        "embedding": network.embedding_size,
        "licence": network.facts.get("licence", "unknown"),
        "source": network.facts.get("source", "unknown"),
        "ms": _milliseconds(network) if timed and parameters is not None else None,
        "accuracy": MEASURED.get(name),
    }


def _milliseconds(network: Any) -> float:
    """Median of a frame through the exported network, as a device runs it."""
    with tempfile.TemporaryDirectory(prefix="panda-time-") as folder:
        path = Path(folder) / "model.onnx"
        outputs = ("embedding", *(f"level{level.stride}" for level in network.levels))
        write_onnx(DeviceGraph(network), path, SIDE, SIDE, outputs, {})
        model, frame = Model(path, default_threads()), np.zeros((1, SIDE, SIDE, 3), np.uint8)
        model.run(frame)
        times = []
        for _ in range(_TIMED):
            started = time.perf_counter()
            model.run(frame)
            times.append((time.perf_counter() - started) * 1e3)
    return round(float(np.median(times)), 1)


def lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A table in text; - where nothing is known."""
    header = ("name", "parameters", "strides", "licence", "ms here", "image AUROC")
    cells = [header]
    for row in rows:
        count = "-" if row["parameters"] is None else f"{row['parameters'] / 1e6:.1f} M"
        strides = ", ".join(str(level["stride"]) for level in row["levels"])
        milliseconds = "-" if row["ms"] is None else f"{row['ms']:.1f}"
        accuracy = f"{row['accuracy']['image_auroc']:.3f}" if row["accuracy"] else "not measured"
        cells.append((row["name"], count, strides, row["licence"], milliseconds, accuracy))
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
