"""Fit one of anomalib's models on whole pictures, larger inputs or its Tiler's tiles, and score test pictures.

Runs in the peers' environment (make_venv.sh), with panda_edge's kernels on the path:

    python anomalib_tiles_run.py TRAIN.npy TEST.npy MODEL.onnx OUT MODEL STRIDE THREADS     STRIDE 0: no tiles

TRAIN.npy, TEST.npy: pictures, uint8 (N, S, S, 3), preprocessed by panda_edge. Tiles are of 224 × 224 pixels, their
features laid together by anomalib before its model sees them. Models, weights and the differences from anomalib's
defaults are those of `anomalib_fit.py`. Writes OUT.npy, heat maps float32 (N, S, S), and OUT.json.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch
from anomalib.data.utils.tiler import Tiler
from anomalib_fit import SIDE, _input, check_features, fit, fit_coreset, load_weights, padim, patchcore


def main() -> None:
    train, test, onnx, out = map(Path, sys.argv[1:5])
    name, stride = sys.argv[5], int(sys.argv[6])
    torch.set_num_threads(int(sys.argv[7]))
    torch.manual_seed(0)  # PaDiM draws its channels
    frames = np.load(train, mmap_mode="r")
    model = padim() if name == "padim" else patchcore()
    load_weights(model)
    middle = (frames.shape[1] - SIDE) // 2
    difference = check_features(model, frames[:4, middle : middle + SIDE, middle : middle + SIDE], onnx)
    if stride:
        model.model.tiler = Tiler(tile_size=SIDE, stride=stride)
    facts: dict[str, object] = {"features_differ": difference, "before_fit_mb": _peak_mb()}
    started = time.perf_counter(), time.process_time()
    with torch.no_grad():
        if name == "padim":
            fit(model, frames)
        else:
            fit_coreset(model, frames, out.with_suffix(".npz"), name)
            out.with_suffix(".npz").unlink()
        facts |= {
            "fit_s": _since(started[0], time.perf_counter()),
            "fit_cpu_s": _since(started[1], time.process_time()),
        }
        facts |= {"fit_peak_mb": _peak_mb()}
        out.with_suffix(".json").write_text(json.dumps(facts))  # what is known, should the test not end
        pictures = np.load(test, mmap_mode="r")
        maps = np.lib.format.open_memmap(out.with_suffix(".npy"), "w+", np.float32, pictures.shape[:3])
        scores, wall, cpu = [], [], []
        for i, picture in enumerate(pictures):
            started = time.perf_counter(), time.process_time()
            found = model.model(model.pre_processor(_input(picture[None])))
            wall.append(time.perf_counter() - started[0])
            cpu.append(time.process_time() - started[1])
            scores.append(float(found.pred_score.ravel()[0]))
            maps[i] = found.anomaly_map.numpy().reshape(maps.shape[1:])
    facts |= {"frame_ms": _thousands(wall), "frame_cpu_ms": _thousands(cpu), "least_ms": round(min(wall) * 1e3, 1)}
    facts |= {"peak_mb": _peak_mb(), "scores": scores}
    out.with_suffix(".json").write_text(json.dumps(facts))


def _since(before: float, now: float) -> float:
    return round(now - before, 1)


def _thousands(seconds: list[float]) -> float:
    return round(float(np.median(seconds)) * 1e3, 1)


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
