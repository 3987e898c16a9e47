"""How far each stage of a frame is from what the machine allows: its floating-point work and its bytes, against peaks.

The peaks are measured, not looked up: float32 multiply-adds by a large matrix product, reading by a pass over a bank
too large for any cache. A stage's floor is the larger of its work at the one and its bytes at the other; what a
branch and bound cannot avoid is counted, not what it happens to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import shape_inference

from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import Subject, say
from benchmarks.lib.timing import least
from benchmarks.speed.bank_table import EXACT
from panda_edge import kernel
from panda_edge.bundle.folder import open_bundle
from panda_edge.detector import MODEL_FILE

_SIDE = 2048  # of the matrix product
_STREAM_MB = 600


def measure_roofline(subject: Subject, rows: ResultsFile, threads: int) -> None:
    """Peaks of this machine, and each stage's floor in milliseconds, for the exact bank."""
    say("roofline: peaks")
    gflops, gigabytes = _peak_gflops(), _peak_gigabytes(threads)
    bundle = open_bundle(subject.bundle(EXACT.args))
    work = {
        "backbone": _backbone(bundle.path / MODEL_FILE),
        "search": _search(bundle.manifest),
        "heatmap": _heatmap(bundle.manifest),
    }
    stages = {
        stage: {
            "gflop": round(flop / 1e9, 4),
            "mb": round(byte / 1e6, 2),
            "compute_ms": round(flop / gflops / 1e6, 3),
            "memory_ms": round(byte / gigabytes / 1e6, 3),
            "floor_ms": round(max(flop / gflops, byte / gigabytes) / 1e6, 3),
        }
        for stage, (flop, byte) in work.items()
    }
    rows.update(f"{subject.name}: roofline", gflops=round(gflops, 1), gb_s=round(gigabytes, 1), stages=stages)


def _peak_gflops() -> float:
    """float32 multiply-adds, counted as two, of numpy's matrix product."""
    a = np.random.default_rng(0).standard_normal((_SIDE, _SIDE), dtype=np.float32)
    return 2 * _SIDE**3 / least(lambda: a @ a, 8) / 1e9


def _peak_gigabytes(threads: int) -> float:
    """Reading, by the one-query search over a bank that no cache holds: two operations for four bytes."""
    bank = np.ones((_STREAM_MB * 250, 1000), dtype=np.float32)
    query = np.zeros((1, 1000), dtype=np.float32)
    return bank.nbytes / least(lambda: kernel.topk(query, bank, 1, threads), 8) / 1e9


def _backbone(path: Path) -> tuple[float, float]:
    """Operations of the convolutions and matrix products of one frame, and the bytes of the weights."""
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    inferred = shape_inference.infer_shapes(model)
    weights = {tensor.name: tuple(tensor.dims) for tensor in inferred.graph.initializer}
    shapes = {
        value.name: [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]  # the batch is 1
        for value in (*inferred.graph.value_info, *inferred.graph.output)
    }
    operations = 0.0
    for node in inferred.graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul") and node.input[1] in weights:
            # Each output value is a sum over all of the weight's axes but the output channels.
            weight = weights[node.input[1]]
            summed = np.prod(weight[1:]) if node.op_type == "Conv" else weight[0]
            operations += 2 * float(summed) * float(np.prod(shapes[node.output[0]]))
    return operations, float(path.stat().st_size)


def _search(manifest: Any) -> tuple[float, float]:
    """The coarsest level's distances, and one pass over the galleries of the similar images and over the embeddings."""
    segmentation, detection, levels = manifest.segmentation, manifest.detection, manifest.levels
    images = segmentation.neighbors
    cells = levels[0].height * levels[0].width
    operations = 2.0 * cells * images * cells * levels[0].channels + 2.0 * detection.count * manifest.embedding_size
    gallery = sum(level.height * level.width * level.channels for level in levels) * images
    return operations, float(
        gallery * np.dtype(segmentation.dtype).itemsize + 4 * detection.count * manifest.embedding_size
    )


def _heatmap(manifest: Any) -> tuple[float, float]:
    """Upsampling and blur as two banded products, and the map written once."""
    finest, frame = manifest.levels[-1], manifest.preprocessing
    taps = 8 * manifest.segmentation.sigma / finest.stride + 2
    products = frame.height * finest.width + frame.height * frame.width
    return 2.0 * taps * products, 4.0 * (finest.height * finest.width + frame.height * frame.width)
