"""Scoring normal images as if they were new, for calibration and for the overlays' colours."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Manifest
from panda_edge.bundle.model import default_threads
from panda_edge.decide.calibration import CALIBRATION_FILE, SCORES, image_scores
from panda_edge.search.scoring import Scorer
from panda_export.features import FeatureFunction

USUAL = (0.9, 0.999)  # quantiles of normal heat maps, between which the overlays' colours begin
SCALE_IMAGES = 64  # heat maps that set the colours

NormalFrame = tuple[int | None, np.ndarray]
"""A normal image's number in the bank, None where it is not stored, and its frame, uint8 (height, width, 3)."""


def set_color_scale(staging: Path, manifest: Manifest, normal: Iterable[NormalFrame], run: FeatureFunction) -> Manifest:
    """The manifest with usual and high values of normal heat maps."""
    return _scored(staging, manifest, normal, run)[0]


def calibrate(
    staging: Path, manifest: Manifest, normal: Iterable[NormalFrame], rule: str, run: FeatureFunction, kind: str
) -> Manifest:
    """Write the raw scores of normal images that they have when they are not in the bank; returns the manifest that
    tells of them.

    rule: which image score decides, one of `panda_edge.decide.calibration.RULES`. kind: `held-out`, or
    `leave-one-out` for stored images that are each scored without themselves. Without images the bundle stays
    uncalibrated.
    """
    manifest, scores = _scored(staging, manifest, normal, run)
    if not scores:
        return manifest
    columns = np.array([[score[name] for score in scores] for name in SCORES])
    np.save(staging / CALIBRATION_FILE, columns, allow_pickle=False)
    return dataclasses.replace(manifest, calibration={"rule": rule, "images": len(scores), "kind": kind})


def _scored(
    staging: Path, manifest: Manifest, normal: Iterable[NormalFrame], run: FeatureFunction
) -> tuple[Manifest, list[dict[str, float]]]:
    scorer = Scorer(Bundle(staging, manifest), default_threads())
    stored = manifest.detection.bank != "kmeans" and manifest.detection.count > 1
    scores: list[dict[str, float]] = []
    heatmaps: list[np.ndarray] = []
    for number, frame in normal:
        features = run(frame[None])
        levels = [level[0] for level in features.levels]
        exclude = number if stored else None
        scored = scorer.score(features.embedding[0], levels, exclude=exclude, graph_score=features.score_of(0))
        assert scored.heatmap is not None
        scores.append(image_scores(scored.score, scored.heatmap))
        if len(heatmaps) < SCALE_IMAGES:
            heatmaps.append(scored.heatmap)
    if not scores:
        return manifest, scores
    low, high = np.quantile(heatmaps, USUAL)
    segmentation = dataclasses.replace(manifest.segmentation, normal_low=float(low), normal_high=float(high))
    return dataclasses.replace(manifest, segmentation=segmentation), scores
