"""One Gaussian a position (Defard et al., "PaDiM", 2020), with the covariance of the whole joint descriptor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from panda_edge.bundle.manifest import Level
from panda_edge.search import kernel
from panda_edge.search.query import Found, Query

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
        self._coarsest = (levels[0].height, levels[0].width)
        self._average = average

    @property
    def cells(self) -> int:
        return self.height * self.width

    def descriptors(self, levels: Sequence[np.ndarray]) -> np.ndarray:
        """float32 (cells, channels), row by row, of one image's levels: coarse first, each (its cells, its channels)
        in nested order."""
        return kernel.joint_descriptors(levels, self._coarsest, self._average)


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

    def search(self, query: Query) -> Found:
        """See `Gallery.search`; the grid's cells."""
        descriptors = self._grid.descriptors(query.levels)
        squared = np.zeros(self._grid.cells, np.float32)
        first = query.number * self._grid.cells
        for run in self._runs(query.active_cells):
            own = slice(first + run.start, first + run.stop)
            squared[run] = kernel.gaussian_distance(
                descriptors[run],
                self._mean[own],
                self._factors[own],
                self._grid.channels if self._rank is None else self._rank,
                triangular=self._rank is None,
                threads=self._threads,
            )
        return Found(squared.reshape(self._grid.height, self._grid.width))

    def _runs(self, active_cells: np.ndarray | None) -> list[slice]:
        """Cells to be measured, in runs: what is stored of one lies together, and need not be copied."""
        if active_cells is None:
            return [slice(0, self._grid.cells)]
        times = self._grid.height // active_cells.shape[0]
        cells = active_cells.repeat(times, axis=0).repeat(times, axis=1).ravel()
        edges = np.flatnonzero(np.diff(cells, prepend=False, append=False)).tolist()
        return [slice(*ends) for ends in zip(edges[::2], edges[1::2], strict=True)]


def packed_size(channels: int, rank: int | None = None) -> int:
    """S, how many numbers a packed factor has: triangular, or of `rank` rows (see `kernel.pack_factors`)."""
    if rank is not None:
        return -(-rank // 16) * 16 * channels
    whole, rest = divmod(channels, 16)  # panels of 16 rows, each as wide as its last row is long
    return 128 * whole * (whole + 1) + (16 * channels if rest else 0)
