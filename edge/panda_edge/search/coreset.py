"""The nearest of a k-centre choice of the normal images' descriptors (Roth et al., "PatchCore", CVPR 2022)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from panda_edge.bundle.manifest import Level
from panda_edge.search import kernel
from panda_edge.search.level_files import raster_order
from panda_edge.search.query import Found, Query

CORESET_FILE = "bank/coreset.npy"
MEAN_FILE = "bank/coreset_mean.npy"
BASIS_FILE = "bank/coreset_basis.npy"


class CoresetGrid:
    """Joint descriptors on the cells of the second-finest level (stride 8), row by row, of that level and the coarser
    ones, which are interpolated linearly between the middles of their cells. The finest level is left out."""

    def __init__(self, levels: Sequence[Level]) -> None:
        """levels: coarse first, as many as the model gives."""
        used = levels[:-1] if len(levels) > 1 else levels
        self.height, self.width = used[-1].height, used[-1].width
        self.channels = sum(level.channels for level in used)
        coarse = (levels[0].height, levels[0].width)
        self._orders = [raster_order(coarse, depth) for depth in range(len(used))]
        self._blends = [(_between(level.height, self.height), _between(level.width, self.width)) for level in used[:-1]]

    @property
    def cells(self) -> int:
        return self.height * self.width

    def descriptors(self, levels: Sequence[np.ndarray]) -> np.ndarray:
        """float32 (cells, channels), row by row, of one frame's levels: coarse first, each (its cells, its channels) in
        nested order; the finest one is not read."""
        joint = np.empty((self.height, self.width, self.channels), np.float32)
        at = 0
        for i, order in enumerate(self._orders):
            part = levels[i][order]
            for axis, blend in enumerate(self._blends[i] if i < len(self._blends) else ()):
                part = _blended(part, axis, *blend)
            joint[..., at : at + part.shape[2]] = part
            at += part.shape[2]
        return joint.reshape(self.cells, self.channels)


class CoresetGallery:
    """Squared L2 distance of each cell's descriptor to the nearest stored one, all turned into the directions in which
    the normal images' descriptors vary most first."""

    needs_neighbors = False

    def __init__(
        self, stored: np.ndarray, mean: np.ndarray, basis: np.ndarray, grid: CoresetGrid, threads: int
    ) -> None:
        """stored: (M, channels), turned: (x - mean) @ basis; mean: float32 (channels,); basis: float32 (channels,
        channels), its columns orthonormal."""
        self._search = kernel.FlatSearch(stored, threads)
        self._mean, self._basis = mean, basis
        self._grid = grid
        self._threads = threads

    def search(self, query: Query) -> Found:
        """See `Gallery.search`; the grid's cells."""
        shape = self._grid.height, self._grid.width
        descriptors = self._grid.descriptors(query.levels)
        if query.active_cells is None:
            return Found(self._nearest(descriptors).reshape(shape))
        times = shape[0] // query.active_cells.shape[0]
        cells = query.active_cells.repeat(times, axis=0).repeat(times, axis=1).ravel()
        squared = np.zeros(self._grid.cells, np.float32)
        squared[cells] = self._nearest(descriptors[cells])
        return Found(squared.reshape(shape))

    def _nearest(self, descriptors: np.ndarray) -> np.ndarray:
        turned = kernel.project(descriptors, self._mean, self._basis, self._threads)
        return self._search.nearest(turned)[0]


def _between(cells: int, finer: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Linear interpolation along an axis, middles of cells on middles: the cell before each finer one, the cell after
    it, and the weight of the latter, float32."""
    position = np.maximum((np.arange(finer) + 0.5) * cells / finer - 0.5, 0)
    before = np.minimum(position.astype(np.int64), cells - 1)
    return before, np.minimum(before + 1, cells - 1), (position - before).astype(np.float32)


def _blended(part: np.ndarray, axis: int, before: np.ndarray, after: np.ndarray, weight: np.ndarray) -> np.ndarray:
    first, second = part.take(before, axis), part.take(after, axis)
    second -= first
    second *= weight[:, None, None] if axis == 0 else weight[None, :, None]
    second += first
    return second
