"""The local score of a picture: how far its heat map rises above what normal pictures have at the same place.

A place where normal pictures vary much, such as an edge that never lies quite alike, has high distances in normal
pictures, too. One threshold for all places would then be that of the worst place. So the maximum is taken of the map
over the mean normal map. Both are looked at on a grid of GRID × GRID cells, which fits maps of any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from panda_edge import kernel
from panda_edge.bundle.folder import Bundle
from panda_edge.errors import BundleError

GRID = 28
NORMAL_MAP_FILE = "normal_map.npy"
_BLUR = 1.0  # cells, of the mean normal map
_LEAST = 1e-6  # that a distance is divided by: pictures that are all alike have none
_MOST = 1e12  # that a distance may be


@dataclass(frozen=True)
class Cells:
    """A heat map on the grid, float32 (GRID, GRID): the largest value and the mean of each cell.

    Values outside of a region of interest do not count; cells without any have 0 and NaN.
    """

    largest: np.ndarray
    mean: np.ndarray

    @classmethod
    def of(cls, heatmap: np.ndarray) -> Cells:
        """heatmap: float32 (h, w), NaN outside of a region of interest."""
        seen = np.isfinite(heatmap)
        sums, counts = _pooled(np.where(seen, heatmap, np.float32(0)), np.add), _pooled(seen.astype(np.float32), np.add)
        mean = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
        return cls(cell_maxima(heatmap), mean)


def cell_maxima(heatmap: np.ndarray) -> np.ndarray:
    """The largest value of each cell, float32 (GRID, GRID); 0 where there is none. heatmap: as of `Cells.of`."""
    return np.asarray(np.nan_to_num(_pooled(heatmap, np.fmax), nan=0.0))


def normal_map(means: Sequence[np.ndarray]) -> np.ndarray:
    """What normal pictures have in each cell, float32 (GRID, GRID), blurred by one cell.

    means: of their maps. Cells that no picture has anything in hold the mean of the others.
    """
    return _blurred(*_sums(means))


def local_score(maxima: np.ndarray, normal: np.ndarray) -> float:
    """The largest ratio of a picture's cell to a normal one, 0 or more. maxima: as of `cell_maxima`; normal: as of
    `normal_map`."""
    expected = np.maximum(normal + normal.mean(), _LEAST)
    return float((maxima / expected).max())


def local_scores(pictures: Sequence[Cells]) -> list[float]:
    """Of normal pictures, each by the normal map of the others; of a single one by its own."""
    if len(pictures) == 1:
        return [local_score(pictures[0].largest, normal_map([pictures[0].mean]))]
    sums, counts = _sums([picture.mean for picture in pictures])
    scores = []
    for picture in pictures:
        seen = np.isfinite(picture.mean)
        others = _blurred(sums - np.where(seen, picture.mean, 0), counts - seen)
        scores.append(local_score(picture.largest, others))
    return scores


def open_normal_map(bundle: Bundle) -> np.ndarray:
    """The one in a calibrated bundle. Raises BundleError."""
    path = bundle.checked_file(NORMAL_MAP_FILE)
    stored = np.array(bundle.array(NORMAL_MAP_FILE, (GRID, GRID), "float32"))
    if not ((stored >= 0) & (stored <= _MOST)).all():
        raise BundleError(f"{path}: holds NaN or what no distance can be; fit the bundle again")
    return stored


def _sums(means: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Of each cell, the sum of the means that are there, float64, and how many there are."""
    sums, counts = np.zeros((GRID, GRID)), np.zeros((GRID, GRID), dtype=np.int64)
    for mean in means:
        seen = np.isfinite(mean)
        sums += np.where(seen, mean, 0)
        counts += seen
    return sums, counts


def _blurred(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    there = counts > 0
    fallback = float(sums[there].sum() / counts[there].sum()) if there.any() else 0.0
    mean = np.divide(sums, counts, out=np.full(sums.shape, fallback), where=there)
    return kernel.render_heatmap(mean, GRID, GRID, _BLUR)


def _pooled(values: np.ndarray, pool: np.ufunc) -> np.ndarray:
    """Values on the grid: a row of cells begins at each ⌊i · height / GRID⌋, columns alike."""
    for _ in range(2):  # along the first axis, which is fast, and turned
        if pool is np.fmax and len(values) % GRID == 0:  # many times faster; sums would be added in another order
            pooled = pool.reduce(values.reshape(GRID, -1, values.shape[1]), axis=1)
        else:
            pooled = pool.reduceat(values, np.arange(GRID) * len(values) // GRID, axis=0)
        values = np.ascontiguousarray(pooled.T)
    return values
