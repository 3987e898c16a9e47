"""Scoring held-out normal images with the finished banks, for calibration and for the overlays' colours."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from panda_edge.bundle import Bundle
from panda_edge.calibration import CALIBRATION_FILE, SCORES, image_scores
from panda_edge.manifest import Manifest
from panda_edge.model import default_threads
from panda_edge.scoring import Scorer
from panda_export.features import FeatureFunction, readable_images
from panda_export.progress import Progress

USUAL = (0.9, 0.999)  # quantiles of normal heat maps, between which the overlays' colours begin
_SCALE_IMAGES = 64  # heat maps that set the colours


def calibrate(
    staging: Path, manifest: Manifest, held_out: Sequence[Path], rule: str, run: FeatureFunction, progress: Progress
) -> Manifest:
    """Write the scores of normal images that are not in the bank; returns the manifest that tells of them.

    rule: which image score decides, one of `panda_edge.calibration.RULES`. Images that cannot be read are left out;
    with none left the bundle stays uncalibrated.
    """
    scorer = Scorer(Bundle(staging, manifest), default_threads())
    scores: list[dict[str, float]] = []
    heatmaps: list[np.ndarray] = []
    for _, frame in progress(readable_images(held_out, manifest.preprocessing), "calibrate", len(held_out)):
        features = run(frame[None])
        scored = scorer.score(features.embedding[0], [level[0] for level in features.levels])
        assert scored.heatmap is not None
        scores.append(image_scores(scored.score, scored.heatmap))
        if len(heatmaps) < _SCALE_IMAGES:
            heatmaps.append(scored.heatmap)
    if not scores:
        return manifest
    columns = np.array([[score[name] for score in scores] for name in SCORES])
    np.save(staging / CALIBRATION_FILE, columns, allow_pickle=False)
    low, high = np.quantile(heatmaps, USUAL)
    segmentation = dataclasses.replace(manifest.segmentation, normal_low=float(low), normal_high=float(high))
    return dataclasses.replace(manifest, segmentation=segmentation, calibration={"rule": rule, "images": len(scores)})
