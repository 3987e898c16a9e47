"""The steps from searched distances to heat maps and image scores, each with its constants. Nothing is searched."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import ndimage

from benchmarks.studies.map_steps.searches import ENDS, Searched
from panda_edge.images.view import View
from panda_edge.search.stitch import Stitcher

_RING_PIXELS = 48  # from the border, that the gain is measured in
_HIGH = 0.9  # quantile of normal distances beyond which context counts
_CLOSED_ABOVE, _CLOSED_MOST = 0.99, 1.25
_TOP = 0.01
GRID = 28  # cells a side that places are told apart by
CELLS = (2, 4, 8)  # the highest ones, that a score may be the mean of


@dataclass(frozen=True)
class Variant:
    """neighbors: K. discount: share of the match's leave-one-out distance that is subtracted. gain: what distances near
    the border are divided by: nothing, the measured gain, or the gain where it is at least 1. context: weight of what
    3 × 3 averages find beyond the usual. closing: input pixels of gaps that are closed, 0 for none. sigma: of the blur,
    input pixels."""

    neighbors: int = 50
    discount: float = 0.5
    gain: str = "clipped"
    context: float = 0.5
    closing: int = 0
    sigma: float = 4.0

    @property
    def name(self) -> str:
        return (
            f"K={self.neighbors} discount={self.discount:g} gain={self.gain} context={self.context:g} "
            f"closing={self.closing} sigma={self.sigma:g}"
        )


MIDDLE, SHIPPED = Variant(), Variant(discount=0.35)
"""What most variants are beside, and what `fit` does; of these every figure is kept."""


def grid(tiled: bool = False) -> list[Variant]:
    """Every step on and off, with its constants' neighbours; then what the others are beside the middle. Tiles know no
    border gain."""
    steps = [
        Variant(discount=share, gain=gain, context=weight)
        for share, gain, weight in product((0.5, 0.35, 0.0), ("clipped", "none"), (0.5, 0.25, 0.0))
    ]
    beside = [Variant(closing=48), Variant(gain="full"), Variant(discount=0.7), Variant(context=1.0)]
    beside += [Variant(neighbors=k) for k in (20, 100)]
    beside += [Variant(sigma=sigma) for sigma in (2.0, 3.0, 6.0)]
    return [v for v in steps + beside if not tiled or (v.gain == "clipped" and not v.closing and v.sigma == 4)]


class Maps:
    """Heat maps of a set's pictures by one variant: stored ones first, each as if it were new."""

    def __init__(self, found: Searched, views: list[View], variant: Variant, tiled: bool) -> None:
        part = ENDS.index(variant.neighbors)
        frames = int(np.count_nonzero(found.picture < found.normal))
        near = _discounted(found.near, found.near_match, part, frames, variant.discount)
        stride = views[0].frame[0] // near.shape[1]
        if variant.gain != "none" and not tiled:
            own = np.sqrt(found.near[:frames, : part + 1].min(axis=1))
            near = near / _gain(own, stride, variant.gain == "clipped")
        if variant.context:
            wide = _discounted(found.wide, found.wide_match, part, frames, variant.discount)
            near = near + _excess(near, wide, frames, variant.context)
        self._near, self._found, self._views, self._variant = near, found, views, variant
        self._by_picture = np.split(np.arange(len(near)), np.flatnonzero(np.diff(found.picture)) + 1)
        self._above = 0.0
        if variant.closing:
            normal = [self._drawn(number).ravel()[::4] for number in range(0, found.normal, max(1, found.normal // 64))]
            self._above = float(np.quantile(np.concatenate(normal), _CLOSED_ABOVE))

    def blurred(self, picture: int, sigmas: tuple[float, ...]) -> dict[float, np.ndarray]:
        """By the blur's sigma, float32 of the view's `map_shape`; not closed."""
        stitcher = self._stitched(picture)
        return {sigma: stitcher.heatmap(sigma) for sigma in sigmas}

    def __getitem__(self, picture: int) -> np.ndarray:
        """float32 of the view's `map_shape`."""
        heatmap = self._drawn(picture)
        if not self._variant.closing:
            return heatmap
        side = 2 * (self._variant.closing // self._views[picture].step // 2) + 1
        excess = np.maximum(heatmap - self._above, 0)
        # Nothing lies beyond the border: padding is lower than any maximum and higher than any minimum.
        wide = ndimage.maximum_filter(excess, side, mode="constant", cval=-np.inf)
        closed = ndimage.minimum_filter(wide, side, mode="constant", cval=np.inf)
        raised = np.minimum(heatmap, self._above) + np.maximum(closed, excess)
        return np.asarray(np.minimum(raised, _CLOSED_MOST * heatmap), np.float32)

    def _drawn(self, picture: int) -> np.ndarray:
        return self._stitched(picture).heatmap(self._variant.sigma)

    def _stitched(self, picture: int) -> Stitcher:
        stitcher = Stitcher(self._views[picture])
        for frame in self._by_picture[picture]:
            stitcher.add(int(self._found.place[frame]), self._near[frame])
        return stitcher


def _discounted(squared: np.ndarray, match: np.ndarray, part: int, frames: int, share: float) -> np.ndarray:
    """Distances float32 (F, h, w) by the first parts, less a share of the match's own; frames: stored ones, first."""
    best = squared[:, : part + 1].argmin(axis=1)[:, None]
    distance = np.sqrt(np.take_along_axis(squared, best, axis=1)[:, 0])
    if not share:
        return distance
    own = distance[:frames].reshape(-1)
    matched = np.take_along_axis(match, best, axis=1)[:, 0]
    return np.asarray(np.maximum(distance - np.float32(share) * own[matched], 0), np.float32)


def _gain(own: np.ndarray, stride: int, clipped: bool) -> np.ndarray:
    """What each cell is divided by, (h, w): medians over pictures of a ring's mean distance over that inside."""
    height, width = own.shape[1:]
    depth = min(_RING_PIXELS // stride, min(height, width) // 4)
    rows, columns = (np.minimum(np.arange(side), np.arange(side)[::-1]) for side in (height, width))
    ring = np.minimum(np.minimum.outer(rows, columns), depth)
    means = np.stack([own[:, ring == number].mean(axis=1) for number in range(depth + 1)])
    usual = np.median(means, axis=1)
    gains = np.clip(usual / usual[-1], 1.0 if clipped else 0.25, 4.0)
    return np.asarray(gains[ring], np.float32)


def _excess(near: np.ndarray, wide: np.ndarray, frames: int, weight: float) -> np.ndarray:
    """What context adds to each finest cell, float32 of the shape of `near`."""
    factor = weight * near[:frames].mean() / wide[:frames].mean()
    above = np.quantile(near[:frames], _HIGH)
    beyond = np.maximum(wide - np.quantile(wide[:frames], _HIGH), 0) * factor
    fine = near.shape[1] // wide.shape[1]
    coarse = 2 * fine  # a finest cell's coarsest one
    count, height, width = near.shape
    high = near.reshape(count, height // coarse, coarse, width // coarse, coarse).max(axis=(2, 4)) > above
    grown = beyond.repeat(fine, axis=1).repeat(fine, axis=2)
    return np.asarray(grown * high.repeat(coarse, axis=1).repeat(coarse, axis=2), np.float32)


def statistics(maps: dict[float, np.ndarray], usual: dict[float, np.ndarray]) -> dict[str, float]:
    """Image scores of a picture. maps: its heat maps by their blur's sigma. usual: what normal maps of that blur have
    in each cell of a grid, those of other pictures for a normal picture's own."""
    scores = {}
    for sigma, heatmap in maps.items():
        pixels = heatmap.ravel()
        count = max(1, round(_TOP * pixels.size))
        scores[f"max@{sigma:g}"] = float(pixels.max())
        scores[f"top1@{sigma:g}"] = float(np.partition(pixels, pixels.size - count)[-count:].mean())
        expected = usual[sigma]
        ratios = np.sort((pooled(heatmap, np.maximum) / (expected + expected.mean())).ravel())
        scores[f"place@{sigma:g}"] = float(ratios[-1])
        for cells in CELLS:
            scores[f"place@{sigma:g} of {cells}"] = float(ratios[-cells:].mean())
    return scores


def pooled(heatmap: np.ndarray, pool: np.ufunc) -> np.ndarray:
    """The map on a grid of GRID × GRID cells, each the sum or the maximum of its values."""
    rows, columns = (np.arange(GRID) * side // GRID for side in heatmap.shape)
    return np.asarray(pool.reduceat(pool.reduceat(heatmap, rows, axis=0), columns, axis=1))


def cell_means(heatmap: np.ndarray) -> np.ndarray:
    """The mean of each cell, float64 (GRID, GRID)."""
    return np.asarray(pooled(heatmap.astype(np.float64), np.add) / pooled(np.ones(heatmap.shape), np.add))
