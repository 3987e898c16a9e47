"""Figures of merit of heat maps, pixel by pixel, over any number of pictures of any size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from panda_train.evaluation.metrics import step_area
from panda_train.evaluation.true_regions import labelled

PRO_LIMIT = 0.3  # largest false-positive rate that the PRO curve is integrated to

_CODE_BITS = 23  # of a float32's 32 that a pixel's score is kept to: sign, 8 exponent, 14 mantissa
_COARSE_SHIFT = 6  # bits fewer in counts that are kept image by image
_BAND = 4_000_000  # pixels that are counted at once
_PENDING_CODES = 2_000_000  # entries held before they are merged; 64 MB


class PixelScores:
    """Pixel figures over any number of heat maps, in memory that does not grow with their number.

    Scores are kept as counts on the float32 grid cut to 14 mantissa bits, so pixels whose scores differ by less
    than 6e-5 of their value count as tied. PRO (Bergmann et al., "MVTec AD", IJCV 2021, §5.2) needs no more than these
    counts, because each region's overlap is a sum over its pixels with weight 1 / (region size).
    """

    def __init__(self) -> None:
        self.images = 0
        self._regions = 0
        self._nan = False
        self._codes = np.empty(0, dtype=np.uint32)
        self._counts = np.empty((3, 0))  # rows: normal pixels, anomalous pixels, anomalous pixels / region size
        self._pending: list[tuple[np.ndarray, np.ndarray]] = []
        self._pending_codes = 0

    def add(self, heatmap: np.ndarray, mask: np.ndarray, active: np.ndarray | None = None) -> None:
        """Count one image: heatmap float (H, W), mask bool (H, W) of its true pixels (all False for a normal image).

        active: the pixels that count, bool (H, W); None for all.

        A map with a NaN, or without a pixel, leaves all figures undefined.
        """
        heatmap = np.asarray(heatmap, dtype=np.float32)
        mask = np.asarray(mask, dtype=bool)
        if heatmap.shape != mask.shape or heatmap.ndim != 2:
            raise ValueError(f"heat map {heatmap.shape} and mask {mask.shape} must have one shape (H, W)")
        self.images += 1
        seen = heatmap.ravel() if active is None else heatmap[active]
        mask = mask if active is None else mask & active
        if seen.size == 0 or np.isnan(seen.min()):
            self._nan = True
            return
        codes, counts = _code_counts(seen)
        anomalous, weights = np.zeros(len(codes)), np.zeros(len(codes))
        if (regions := labelled(mask)) is not None:
            inside = regions.numbers > 0
            numbers = regions.numbers[inside]
            sizes = np.bincount(numbers)
            index = np.searchsorted(codes, _score_codes(heatmap[regions.around][inside]))
            anomalous += np.bincount(index, minlength=len(codes))
            weights += np.bincount(index, weights=1.0 / sizes[numbers], minlength=len(codes))
            self._regions += regions.count
        self._hold(codes, np.stack([counts - anomalous, anomalous, weights]))

    def merge(self, other: PixelScores) -> None:
        """Count all that `other` has counted, too."""
        other._settle()
        self.images += other.images
        self._regions += other._regions
        self._nan |= other._nan
        self._hold(other._codes, other._counts)

    def coarsened(self) -> PixelScores:
        """The same counts on a grid of 8 mantissa bits, small enough to keep one for each image."""
        self._settle()
        coarse = PixelScores()
        coarse.images, coarse._regions, coarse._nan = self.images, self._regions, self._nan
        codes, index = np.unique(self._codes >> np.uint32(_COARSE_SHIFT), return_inverse=True)
        coarse._codes = codes
        coarse._counts = np.stack([np.bincount(index, weights=row, minlength=len(codes)) for row in self._counts])
        return coarse

    def auroc(self) -> float | None:
        """Area under the pixel ROC curve, ties counting half. None with one class only, or where a map had a NaN."""
        normal, anomalous, _ = self._descending()
        if not self._defined(normal, anomalous):
            return None
        below = normal.sum() - np.cumsum(normal)
        return float((anomalous * (below + normal / 2)).sum() / (normal.sum() * anomalous.sum()))

    def average_precision(self) -> float | None:
        """Average precision over all pixels."""
        normal, anomalous, _ = self._descending()
        if self._nan or anomalous.sum() == 0:
            return None
        true = np.cumsum(anomalous)
        return step_area(true, true + np.cumsum(normal))

    def roc_curve(self, points: int = 200) -> tuple[np.ndarray, np.ndarray] | None:
        """(false-positive rate, true-positive rate), float64 of at most `points` values each, for drawing."""
        normal, anomalous, _ = self._descending()
        if not self._defined(normal, anomalous):
            return None
        return _thinned(_rising(normal), _rising(anomalous), points)

    def pro(self, limit: float = PRO_LIMIT) -> float | None:
        """Area under the PRO curve up to false-positive rate `limit`, divided by `limit`.

        Overlap: mean over all true regions (8-connected) of the share of their pixels called anomalous.
        """
        normal, anomalous, weight = self._descending()
        if not self._defined(normal, anomalous):
            return None
        rate, overlap = _rising(normal), np.concatenate([[0.0], np.cumsum(weight)]) / self._regions
        inside = rate < limit
        rate = np.append(rate[inside], limit)
        overlap = np.append(overlap[inside], np.interp(limit, _rising(normal), overlap))
        return float(np.trapezoid(overlap, rate) / limit)

    def pro_curve(self, points: int = 200) -> tuple[np.ndarray, np.ndarray] | None:
        """(false-positive rate, mean overlap), float64 of at most `points` values each, for drawing."""
        normal, anomalous, weight = self._descending()
        if not self._defined(normal, anomalous):
            return None
        return _thinned(_rising(normal), np.concatenate([[0.0], np.cumsum(weight)]) / self._regions, points)

    def _defined(self, normal: np.ndarray, anomalous: np.ndarray) -> bool:
        return not self._nan and normal.sum() > 0 and anomalous.sum() > 0

    def _descending(self) -> np.ndarray:
        self._settle()
        return np.flip(self._counts, axis=1)

    def _hold(self, codes: np.ndarray, counts: np.ndarray) -> None:
        self._pending.append((codes, counts))
        self._pending_codes += len(codes)
        if self._pending_codes > _PENDING_CODES:
            self._settle()

    def _settle(self) -> None:
        if not self._pending:
            return
        parts = [(self._codes, self._counts), *self._pending]
        self._codes, index = np.unique(np.concatenate([codes for codes, _ in parts]), return_inverse=True)
        counts = np.concatenate([counts for _, counts in parts], axis=1)
        self._counts = np.stack([np.bincount(index, weights=row, minlength=len(self._codes)) for row in counts])
        self._pending, self._pending_codes = [], 0


def pixel_intervals(
    images: Sequence[PixelScores], resamples: int = 500, confidence: float = 0.95, seed: int = 0
) -> dict[str, tuple[float, float] | None]:
    """Percentile intervals of `pixel_auroc` and `pro` over images drawn anew.

    images: the counts of one image each, from `PixelScores.coarsened`. Images with true regions and images without are
    drawn apart from each other.
    """
    nothing: dict[str, tuple[float, float] | None] = {"pixel_auroc": None, "pro": None}
    if not images or any(image._nan for image in images):
        return nothing
    codes = np.unique(np.concatenate([image._codes for image in images]))
    counts = np.zeros((len(images), 3, len(codes)), dtype=np.float32)
    for row, image in zip(counts, images, strict=True):
        row[:, np.searchsorted(codes, image._codes)] = image._counts
    regions = np.array([image._regions for image in images])
    if not regions.any() or not counts[:, 0].any():
        return nothing
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero((regions > 0) == label) for label in (False, True)]
    drawn: dict[str, list[float]] = {"pixel_auroc": [], "pro": []}
    for _ in range(resamples):
        times = np.zeros(len(images), dtype=np.float32)
        for group in groups:
            if len(group):
                times[group] = rng.multinomial(len(group), np.full(len(group), 1 / len(group)))
        whole = PixelScores()
        whole._codes, whole._regions = codes, int(times @ regions)
        whole._counts = np.tensordot(times, counts, axes=1).astype(np.float64)
        for name, value in (("pixel_auroc", whole.auroc()), ("pro", whole.pro())):
            if value is not None:
                drawn[name].append(value)
    spans = nothing
    for name, values in drawn.items():
        if values:
            low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
            spans[name] = float(low), float(high)
    return spans


def _code_counts(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The codes that occur among float32 scores (N,), uint32 in rising order, and how often each does.

    Counted a band at a time: the memory hangs on the scores' range, at most 192 MB, not on how many there are.
    """
    low, high = _score_codes(np.array([scores.min(), scores.max()])).tolist()
    if high - low > 4 * len(scores):  # a small map: sorting it is less work than a table of its range
        return np.unique(_score_codes(scores), return_counts=True)
    table = np.zeros(high - low + 1, dtype=np.int64)
    for start in range(0, len(scores), _BAND):
        table += np.bincount(_score_codes(scores[start : start + _BAND]) - np.uint32(low), minlength=len(table))
    present = np.flatnonzero(table)
    return present.astype(np.uint32) + np.uint32(low), table[present]


def _score_codes(scores: np.ndarray) -> np.ndarray:
    """uint32 codes in the order of the float32 scores, cut to _CODE_BITS. Infinities have codes; NaN must not come."""
    bits = (scores + np.float32(0.0)).view(np.uint32)  # the addition makes -0.0 the same as 0.0
    ordered: np.ndarray = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return ordered >> np.uint32(32 - _CODE_BITS)


def _rising(counts: np.ndarray) -> np.ndarray:
    """Cumulative share, from 0 to 1."""
    return np.asarray(np.concatenate([[0.0], np.cumsum(counts)]) / counts.sum())


def _thinned(x: np.ndarray, y: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `points` of a rising curve's points, evenly along it, both ends among them."""
    along = np.linspace(0, (x + y)[-1], points)
    keep = np.unique(np.clip(np.searchsorted(x + y, along), 0, len(x) - 1))
    return x[keep], y[keep]
