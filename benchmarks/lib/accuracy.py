"""Figures of merit of any method on a subject, all made by `panda_train.evaluation.metrics` on the same masks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.reading import open_image
from panda_train.data.folders import Sample
from panda_train.data.mask_pixels import read_masks
from panda_train.evaluation import metrics
from panda_train.evaluation.pixel_scores import PixelScores

Method = Callable[[Path], tuple[float, np.ndarray]]
"""Path of an image → image score, heat map float (height, width)."""


def accuracy(method: Method, samples: tuple[Sample, ...], preprocessing: Preprocessing) -> dict[str, Any]:
    """Image AUROC of the score and of the map's maximum, pixel AUROC and PRO at the network's resolution, by kind too.

    Pixel figures of a kind are over its images and all normal ones. None where a figure is not defined.
    """
    normal = _Group()
    kinds: dict[str, _Group] = defaultdict(_Group)
    for sample, mask in _with_masks(samples, preprocessing):
        score, heatmap = method(sample.path)
        (kinds[sample.kind] if sample.anomalous else normal).add(score, heatmap, mask)
    return {
        **_figures(normal, list(kinds.values())),
        "images": len(samples),
        "kinds": {kind: _figures(normal, [group]) for kind, group in sorted(kinds.items())},
    }


class _Group:
    def __init__(self) -> None:
        self.scores: list[float] = []
        self.maxima: list[float] = []
        self.pixels = PixelScores()

    def add(self, score: float, heatmap: np.ndarray, mask: np.ndarray | None) -> None:
        self.scores.append(score)
        self.maxima.append(float(heatmap.max()))
        if mask is not None:
            self.pixels.add(heatmap, mask)


def _with_masks(
    samples: tuple[Sample, ...], preprocessing: Preprocessing
) -> Iterator[tuple[Sample, np.ndarray | None]]:
    for sample in samples:
        if sample.anomalous:
            truth = read_masks(sample.masks) if sample.masks else None
        else:
            width, height = open_image(sample.path).full_size
            truth = np.zeros((height, width), dtype=bool)
        yield sample, None if truth is None else preprocessing.apply_mask(truth)


def _figures(normal: _Group, anomalous: list[_Group]) -> dict[str, float | None]:
    pixels = PixelScores()
    for group in (normal, *anomalous):
        pixels.merge(group.pixels)
    labels = np.repeat([False, True], [len(normal.scores), sum(len(group.scores) for group in anomalous)])
    scores = np.concatenate([normal.scores, *(group.scores for group in anomalous)])
    maxima = np.concatenate([normal.maxima, *(group.maxima for group in anomalous)])
    figures = {
        "image_auroc": metrics.auroc(scores, labels),
        "image_auroc_map": metrics.auroc(maxima, labels),
        "pixel_auroc": pixels.auroc(),
        "pro": pixels.pro(),
    }
    return {name: None if value is None else round(value, 4) for name, value in figures.items()}
