"""What `fit` says at its end: what can be promised, what a picture takes, what is out of sight, and what to do next."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import panda_edge
from panda_edge.bundle.manifest import Manifest
from panda_edge.decide.calibration import promise_in_words
from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_edge.errors import ImageError

_TIMED = 5  # pictures, spread over all


def summary(bundle: Path, manifest: Manifest, pictures: Sequence[Path], seconds: float) -> dict[str, Any]:
    """Ready for JSON. pictures: the normal ones that were given. seconds: that the fit took.

    picture_ms: median of some pictures on this machine. smallest_defect: in pixels of the first picture; smaller ones
    are out of sight. promised: the least false-alarm rate that calibration allows, None without calibration.
    """
    detector = panda_edge.load(bundle)
    step = max(1, len(pictures) // _TIMED)
    spread = sorted(range(len(pictures)), key=lambda number: number % step)  # the others only where these are damaged
    results: list[panda_edge.Result] = []
    for number in spread:
        if len(results) == _TIMED:
            break
        with suppress(ImageError):  # was named when the bank was filled
            detector.detect(pictures[number])  # the first run fills caches
            results.append(detector.detect(pictures[number]))
    calibration = None if detector.decider is None else detector.decider.calibration
    frame = manifest.preprocessing
    return {
        "bundle": str(bundle),
        "pictures": len(pictures),
        "train_images": manifest.recipe.train_images,
        "bytes": sum(entry.bytes for entry in manifest.files.values()),
        "seconds": round(seconds, 1),
        "input": [frame.height, frame.width],
        "tiles": results[0].view.count,
        "compare": manifest.segmentation.compare,
        "augment": manifest.recipe.augment,
        "smallest_defect": round(results[0].view.least_defect, 1),
        "picture_ms": round(statistics.median(result.ms for result in results), 1),
        "score": detector.rule,
        "threshold": None if detector.decider is None else detector.decider.threshold,
        "calibration_images": None if calibration is None else calibration.images,
        "promised": None if calibration is None else calibration.promised(0.0),
        "promise": promise_in_words(None if calibration is None else calibration.images, DEFAULT_FPR),
    }


def in_words(facts: dict[str, Any], data: Path) -> list[str]:
    """The same in lines for a person."""
    given = facts["pictures"]
    used = f"{facts['train_images']} normal image{'' if facts['train_images'] == 1 else 's'}"
    if facts["train_images"] < given:
        used += f" in the bank of {given} given"
    height, width = facts["input"]
    tiles = f"{facts['tiles']} tiles a picture, each " if facts["tiles"] > 1 else ""
    return [
        f"{facts['bundle']}: {used}, {facts['bytes'] / 1e6:.1f} MB, fitted in {facts['seconds']:.0f} s",
        f"  input    {tiles}{width}×{height}; defects below about {facts['smallest_defect']:.0f} of your pictures' "
        "pixels are out of sight",
        f"  verdict  {facts['promise']}",
        f"  speed    {facts['picture_ms']:.0f} ms a picture on this machine",
        f"  next     panda-train evaluate {facts['bundle']} {data}",
        f"           panda-edge segment {facts['bundle']} PICTURES --out maps",
    ]
