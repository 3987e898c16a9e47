"""How well a bundle tells the anomalous images and pixels of a data set. Scores come through the device's own code."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import panda_edge
from panda_edge.errors import DataError, PandaError
from panda_edge.images import Preprocessing
from panda_train import metrics
from panda_train.data import Dataset, Sample, read_mask
from panda_train.progress import show


@dataclass
class Scored:
    """What evaluating keeps of the images of one kind. pixels: None where the kind has no masks."""

    scores: list[float] = field(default_factory=list)
    map_scores: list[float] = field(default_factory=list)
    pixels: metrics.PixelScores = field(default_factory=metrics.PixelScores)


def evaluate(bundle: Path, dataset: Dataset, threads: int | None = None) -> dict[str, Any]:
    """Score all test images of a data set; the figures are ready for JSON, None where they are not defined.

    image_auroc, image_f1, image_f1_threshold: of the bundle's image score. image_auroc_map: of the heat map's maximum.
    pixel_auroc, pro: at the network's input resolution, over the images whose true pixels are known: normal ones, and
    anomalous ones with a mask. kinds: the same for each kind of anomaly against all normal images.
    images: how many were scored. problems: [{"input", "error"}] of images left out, or (`"used": "score"`) of images
    whose mask was left out.
    Raises DataError with nothing to test, BundleError where the bundle cannot be read.
    """
    if not dataset.test:
        raise DataError(f"{dataset.root}: no test images; put some under test/good and test/<kind>")
    detector = panda_edge.load(bundle, threads=threads)
    kinds: dict[str, Scored] = {}
    normal_kinds: set[str] = set()
    problems: list[dict[str, str]] = []
    for sample in show(dataset.test, "evaluate", len(dataset.test)):
        try:
            result = detector.segment(sample.path)
        except PandaError as error:
            problems.append({"input": str(sample.path), "error": str(error)})
            continue
        scored = kinds.setdefault(sample.kind, Scored())
        if not sample.anomalous:
            normal_kinds.add(sample.kind)
        scored.scores.append(result.score)
        scored.map_scores.append(result.map_score)
        assert result.heatmap is not None  # segment() always makes one
        try:
            mask = _true_pixels(sample, result.image_size, detector.preprocessing)
        except DataError as error:
            problems.append({"input": str(sample.path), "error": str(error), "used": "score"})
            continue
        if mask is not None:
            scored.pixels.add(result.heatmap, mask)
    if not kinds:
        first = problems[0]["error"]
        raise DataError(f"{dataset.root}: none of {len(dataset.test)} test images could be scored; {first}")
    normal = [kinds[kind] for kind in kinds if kind in normal_kinds]
    anomalous = {kind: scored for kind, scored in kinds.items() if kind not in normal_kinds}
    best = metrics.best_f1(*_labelled(normal, list(anomalous.values()), "scores"))
    return {
        **_figures(normal, list(anomalous.values())),
        "image_f1": best.f1 if best else None,
        "image_f1_threshold": best.threshold if best else None,
        "kinds": {kind: _figures(normal, [scored]) for kind, scored in anomalous.items()},
        "problems": problems,
    }


def in_words(report: dict[str, Any]) -> str:
    """A report of `evaluate` as lines for a terminal."""
    columns = ("image_auroc", "image_auroc_map", "pixel_auroc", "pro")
    width = max(len(name) for name in ("all kinds", *report["kinds"]))
    lines = [f"{'':{width}}  " + "  ".join(f"{name:>15}" for name in ("images", *columns))]
    for name, figures in {"all kinds": report, **report["kinds"]}.items():
        cells = [f"{figures['images']:>15}", *(f"{_in_figures(figures[column]):>15}" for column in columns)]
        lines.append(f"{name:{width}}  " + "  ".join(cells))
    lines.append(f"best image F1: {_in_figures(report['image_f1'])}")
    for problem in report["problems"]:
        what = "mask left out" if problem.get("used") == "score" else "left out"
        lines.append(f"{what}: {problem['error']}")
    return "\n".join(lines)


def _in_figures(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _true_pixels(sample: Sample, image_size: tuple[int, int], preprocessing: Preprocessing) -> np.ndarray | None:
    """bool (h, w) at the network's resolution; None where an anomalous image has no mask."""
    width, height = image_size
    if not sample.anomalous:
        return preprocessing.apply_mask(np.zeros((height, width), dtype=bool))
    if sample.mask is None:
        return None
    mask = read_mask(sample.mask)
    if mask.shape != (height, width):
        got = f"{mask.shape[1]}×{mask.shape[0]}"
        raise DataError(f"{sample.mask}: mask of {got} for an image of {width}×{height} pixels")
    return preprocessing.apply_mask(mask)


def _figures(normal: list[Scored], anomalous: list[Scored]) -> dict[str, Any]:
    pixels = metrics.PixelScores()
    for scored in (*normal, *anomalous):
        pixels.merge(scored.pixels)
    return {
        "image_auroc": metrics.auroc(*_labelled(normal, anomalous, "scores")),
        "image_auroc_map": metrics.auroc(*_labelled(normal, anomalous, "map_scores")),
        "pixel_auroc": pixels.auroc(),
        "pro": pixels.pro(),
        "images": sum(len(scored.scores) for scored in (*normal, *anomalous)),
    }


def _labelled(normal: list[Scored], anomalous: list[Scored], which: str) -> tuple[np.ndarray, np.ndarray]:
    """Scores float64 (N,) and labels bool (N,), True for anomalous."""
    good = [value for scored in normal for value in getattr(scored, which)]
    bad = [value for scored in anomalous for value in getattr(scored, which)]
    return np.array(good + bad), np.repeat([False, True], [len(good), len(bad)])
