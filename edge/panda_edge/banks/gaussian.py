"""One Gaussian a position (Defard et al., "PaDiM", 2020), with the whole covariance of the joint descriptor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from panda_edge import kernel

MEAN_FILE = "bank/gaussian_mean.npy"
FACTOR_FILE = "bank/gaussian_factor.npy"


class GaussianGallery:
    """Squared Mahalanobis distance of each cell to the normal images' Gaussian at that cell.

    The cells are those of the second-finest level (stride 8): finer ones are averaged into it, coarser ones repeated.
    """

    needs_neighbors = False

    def __init__(self, mean: np.ndarray, factors: np.ndarray, grid: tuple[int, int], threads: int) -> None:
        """mean: float32 (cells, D); factors: (cells, S) from `kernel.pack_factors`, lower triangular; both in nested
        order. grid: (height, width) of the coarsest level."""
        self._mean = mean
        self._factors = factors
        self._threads = threads
        depth = (len(mean) // (grid[0] * grid[1])).bit_length() // 2  # 4^depth cells for each coarsest one
        self._raster = raster_order(grid, depth)

    def distances(self, levels: Sequence[np.ndarray], neighbors: np.ndarray | None) -> np.ndarray:
        """See `Gallery.distances`; float32 (height, width) of the cells."""
        descriptors = gaussian_descriptors(levels, len(self._mean))
        rows = descriptors.shape[1]
        squared = kernel.gaussian_distance(descriptors, self._mean, self._factors, rows, True, self._threads)
        return squared[self._raster]


def gaussian_cells(cells: Sequence[int]) -> int:
    """How many Gaussians there are, given the cells of each level, coarse first."""
    return cells[-2] if len(cells) > 1 else cells[-1]


def gaussian_descriptors(levels: Sequence[np.ndarray], cells: int) -> np.ndarray:
    """Joint descriptors on one grid: float32 (cells, all channels).

    levels: of one image, coarse first, each (its cells, channels) in nested order, which the result keeps. A level
    with fewer cells is repeated over its children, one with more is averaged over them.
    """
    parts = []
    for level in levels:
        if len(level) <= cells:
            parts.append(np.repeat(level, cells // len(level), axis=0))
        else:
            parts.append(level.reshape(cells, len(level) // cells, level.shape[1]).mean(axis=1))
    return np.concatenate(parts, axis=1)


def raster_order(grid: tuple[int, int], depth: int) -> np.ndarray:
    """Where each cell of a raster lies in nested order: int64 (height·2^depth, width·2^depth)."""
    order = np.arange(grid[0] * grid[1]).reshape(grid)
    for _ in range(depth):
        finer = np.empty((2 * order.shape[0], 2 * order.shape[1]), dtype=np.int64)
        for row in (0, 1):
            for column in (0, 1):
                finer[row::2, column::2] = 4 * order + 2 * row + column
        order = finer
    return order
