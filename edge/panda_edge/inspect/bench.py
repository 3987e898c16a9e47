"""How fast a bundle runs on this machine: throughput, latency, stages, cold start, memory."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from panda_edge import kernel
from panda_edge.bundle.folder import open_bundle
from panda_edge.bundle.model import checked_threads
from panda_edge.bundle.selftest import read_selftest
from panda_edge.detector import STAGES, Detector, load
from panda_edge.errors import PandaError
from panda_edge.images.reading import ImageLike
from panda_edge.inspect.machine import cpu_name
from panda_edge.system import memory_mb

_WARM_UP = 5
_BESIDE = 50  # images that are timed beside the bare model

# Run in a fresh interpreter, so that starting it and importing are part of the figure.
_COLD_START = """\
import sys, panda_edge
panda_edge.load(
    sys.argv[1], threads=int(sys.argv[2]), require_signature=sys.argv[4] or None, roi=sys.argv[5] or None
).segment(sys.argv[3])
"""


def bench(
    path: Path,
    images: Sequence[Path],
    threads: int | None = None,
    frames: int = 200,
    epsilon: float = 0.0,
    require_signature: str | os.PathLike[str] | None = None,
    roi: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Segment `frames` images (the given ones in turn; the bundle's self-test where none is given) one at a time.

    Times are milliseconds. `fps_pipelined` is that of `Detector.segment_stream` over the same images. `cold_start_ms`
    is a fresh interpreter from its start to the first heat map, null without images; `rss_mb` the peak resident memory,
    `own_mb` the part that is not mapped files. `model` says which network ran, on frames of which size. `tiles`, null
    without: how many the first image has, `floor_ms` that the bare model needs for an image's tiles, and `ratio`, an
    image's whole time over that (medians, measured in turns).
    Raises PandaError.
    """
    threads = checked_threads(threads)
    inputs: list[ImageLike] = list(images) or list(read_selftest(open_bundle(path, require_signature)).frames)
    detector = load(path, threads, epsilon=epsilon, require_signature=require_signature, roi=roi)
    for image in itertools.islice(itertools.cycle(inputs), _WARM_UP):
        detector.segment(image)

    latencies, stages = [], {stage: [] for stage in STAGES}  # type: tuple[list[float], dict[str, list[float]]]
    started = time.perf_counter()
    for image in itertools.islice(itertools.cycle(inputs), frames):
        before = time.perf_counter()
        result = detector.segment(image)
        latencies.append((time.perf_counter() - before) * 1e3)
        for stage in STAGES:
            stages[stage].append(result.stages_ms[stage])
    seconds = time.perf_counter() - started

    memory = memory_mb()
    pipelined_seconds = _seconds_pipelined(detector, inputs, frames)
    return {
        "fps": round(frames / seconds, 2),
        "fps_pipelined": round(frames / pipelined_seconds, 2),
        "latency_ms": {f"p{p}": round(float(np.percentile(latencies, p)), 3) for p in (50, 95, 99)},
        "stages_ms": {stage: round(float(np.median(times)), 3) for stage, times in stages.items()},
        "tiles": _beside_floor(detector, inputs, frames),
        "cold_start_ms": round(_cold_start_ms(path, images[0], threads, require_signature, roi), 1) if images else None,
        "rss_mb": round(memory["peak"], 1),
        "own_mb": round(memory["own"], 1),
        "threads": threads,
        "simd": kernel.simd_level(),
        "cpu": cpu_name(),
        "frames": frames,
        "model": _model(detector),
    }


def _model(detector: Detector) -> dict[str, Any]:
    """What the backbone's milliseconds are of, so that machines can be compared by them."""
    manifest = detector.bundle.manifest
    frame = manifest.preprocessing
    facts = {"backbone": manifest.backbone.get("name"), "precision": manifest.recipe.precision}
    return {**facts, "height": frame.height, "width": frame.width}


def _beside_floor(detector: Detector, inputs: Sequence[ImageLike], frames: int) -> dict[str, Any] | None:
    """What tiles cost beyond the bare model's time for them."""
    whole, floors, count = [], [], 0
    for image in itertools.islice(itertools.cycle(inputs), min(frames, _BESIDE)):
        floor = detector.model_floor(image)
        if floor is None:
            return None
        result = detector.segment(image)
        count = count or result.view.count
        floors.append(floor)
        whole.append(result.ms)
    floor_ms, ratio = float(np.median(floors)), float(np.median(np.array(whole) / np.array(floors)))
    return {"count": count, "floor_ms": round(floor_ms, 2), "ratio": round(ratio, 3)}


def _seconds_pipelined(detector: Detector, inputs: Sequence[ImageLike], frames: int) -> float:
    started = time.perf_counter()
    for _ in detector.segment_stream(itertools.islice(itertools.cycle(inputs), frames)):
        pass
    return time.perf_counter() - started


def _cold_start_ms(
    path: Path, image: Path, threads: int, key: str | os.PathLike[str] | None, roi: str | os.PathLike[str] | None
) -> float:
    started = time.perf_counter()
    command = [sys.executable, "-c", _COLD_START, str(path), str(threads), str(image), str(key or ""), str(roi or "")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PandaError(f"the cold start failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return (time.perf_counter() - started) * 1e3
