"""One Gaussian a position (Defard et al., "PaDiM", 2020), with the covariance of the whole joint descriptor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from panda_edge.bundle.manifest import Level
from panda_edge.search import kernel
from panda_edge.search.level_files import raster_order

MEAN_FILE = "bank/gaussian_mean.npy"
FACTOR_FILE = "bank/gaussian_factor.npy"


class DescriptorGrid:
    """Joint descriptors on the cells of the second-finest level (stride 8), row by row.

    Finer levels are averaged over each cell's children, coarser ones repeated over theirs; then every descriptor is
    averaged with its neighbours.
    """

    def __init__(self, levels: Sequence[Level], average: int) -> None:
        """levels: coarse first. average: side of the square of cells averaged, odd; 1 for none."""
        if average < 1 or average % 2 == 0:
            raise ValueError(f"average is {average}; give an odd number of cells from 1")
        chosen = levels[-2] if len(levels) > 1 else levels[-1]
        self.height, self.width = chosen.height, chosen.width
        self.channels = sum(level.channels for level in levels)
        depth = (chosen.height // levels[0].height).bit_length() - 1
        self._raster = raster_order((levels[0].height, levels[0].width), depth).ravel()
        self._average = average

    @property
    def cells(self) -> int:
        return self.height * self.width

    def descriptors(self, levels: Sequence[np.ndarray]) -> np.ndarray:
        """float32 (cells, channels), row by row, of one image's levels: coarse first, each (its cells, its channels)
        in nested order."""
        parts = []
        for level in levels:
            if len(level) <= self.cells:
                parts.append(np.repeat(level, self.cells // len(level), axis=0))
            else:
                parts.append(level.reshape(self.cells, len(level) // self.cells, level.shape[1]).mean(axis=1))
        joint: np.ndarray = np.concatenate(parts, axis=1)[self._raster]
        if self._average == 1:
            return joint
        grid = joint.reshape(self.height, self.width, self.channels)
        averaged: np.ndarray = _box(_box(grid, 0, self._average), 1, self._average)
        return averaged.reshape(self.cells, self.channels)


class GaussianGallery:
    """Squared Mahalanobis distance of each cell's descriptor to the normal images' Gaussian at that cell.

    Of a bank of low rank, its share in the directions in which normal images vary least.
    """

    needs_neighbors = False

    def __init__(
        self, mean: np.ndarray, factors: np.ndarray, grid: DescriptorGrid, threads: int, rank: int | None = None
    ) -> None:
        """mean: float32 (frames·cells, channels), of a picture's frames one after the other; factors:
        (frames·cells, S) from `kernel.pack_factors`, lower triangular, or of `rank` rows where that is given."""
        self._mean = mean
        self._factors = factors
        self._grid = grid
        self._threads = threads
        self._rank = rank

    def distances(
        self,
        levels: Sequence[np.ndarray],
        neighbors: np.ndarray | None,
        number: int = 0,
        looked_at: np.ndarray | None = None,
    ) -> np.ndarray:
        """See `Gallery.distances`; float32 (height, width) of the grid's cells."""
        descriptors = self._grid.descriptors(levels)
        own = slice(number * self._grid.cells, (number + 1) * self._grid.cells)
        squared = kernel.gaussian_distance(
            descriptors,
            self._mean[own],
            self._factors[own],
            self._grid.channels if self._rank is None else self._rank,
            triangular=self._rank is None,
            threads=self._threads,
        )
        return squared.reshape(self._grid.height, self._grid.width)


def packed_size(channels: int, rank: int | None = None) -> int:
    """S, how many numbers a packed factor has: triangular, or of `rank` rows (see `kernel.pack_factors`)."""
    if rank is not None:
        return -(-rank // 16) * 16 * channels
    return sum(min(first + 16, channels) * 16 for first in range(0, channels, 16))


def _box(grid: np.ndarray, axis: int, side: int) -> np.ndarray:
    """Moving mean of `side` cells along an axis of (H, W, C); at the border, of those that are there."""
    length, reach = grid.shape[axis], side // 2
    sums = np.zeros((length + 1, *np.delete(grid.shape, axis)), dtype=np.float32)
    np.cumsum(np.moveaxis(grid, axis, 0), axis=0, out=sums[1:])
    first = np.maximum(np.arange(length) - reach, 0)
    last = np.minimum(np.arange(length) + reach + 1, length)
    means = (sums[last] - sums[first]) / (last - first).astype(np.float32)[:, None, None]
    return np.moveaxis(means, 0, axis)
