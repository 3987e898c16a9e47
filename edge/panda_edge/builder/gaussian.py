"""Estimating one Gaussian a position from normal images that stream by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from panda_edge.builder.process_group import ALONE, ProcessGroup
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Level
from panda_edge.bundle.model import Features
from panda_edge.errors import DataError, PandaError
from panda_edge.search import kernel
from panda_edge.search.gaussian import FACTOR_FILE, MEAN_FILE, DescriptorGrid, packed_size

SUMS_FILES = ("extend/gaussian_origin.npy", "extend/gaussian_sum.npy", "extend/gaussian_products.npy")

_BUFFERED = 32  # images whose second moments are added at once
_MOST_BYTES = 6_000_000_000  # that covariances may take while they are estimated
_LEAST_VARIANCE = 1e-6  # that of identical images is 0; whitening by less would leave the range of float16


class GaussianWriter:
    """Means and covariances of the joint descriptors, position by position, in memory that the images do not grow.

    Written, row by row of the grid: the means, float32 (cells, D), and whitening factors, packed as
    `kernel.gaussian_distance` wants them.
    """

    def __init__(
        self,
        bundle: Path,
        levels: Sequence[Level],
        dtype: str,
        average: int,
        shrinkage: float,
        rank: int | None = None,
        frames: int = 1,
        group: ProcessGroup = ALONE,
    ) -> None:
        """average: see `DescriptorGrid`. shrinkage: towards equal variance in all directions (see `shrunk`). rank: of
        the factors, from 1 to the channels; None for all directions. frames: of every picture, each with Gaussians of
        its own. group: each process, which must get all frames, has the sums of its share of the cells. Raises
        PandaError for another rank, or where the frames' covariances do not fit into memory."""
        self._group = group
        self._bundle = bundle
        self._dtype = np.dtype(dtype)
        self._shrinkage = shrinkage
        self._grid = DescriptorGrid(levels, average)
        size = self._grid.channels
        needed = 4 * frames * self._grid.cells * size * size
        if frames > 1 and needed > _MOST_BYTES:
            raise PandaError(
                f"{frames} tiles a picture: their covariances need {needed / 1e9:.1f} GB, at most "
                f"{_MOST_BYTES / 1e9:.0f} are allowed; use fewer tiles or --bank exact or coreset"
            )
        if rank is not None and not 1 <= rank <= size:
            raise PandaError(f"rank is {rank}; expected 1 to {size}, the levels' channels")
        self.rank = rank
        bounds = [self._grid.cells * rank // group.count for rank in (group.rank, group.rank + 1)]
        self._own = slice(*bounds)
        self._moments = [_Moments(bounds[1] - bounds[0], size) for _ in range(frames)]

    def write_sums(self) -> None:
        """Keep in the bundle, after `close`, what further images can be added to."""
        for i, name in enumerate(SUMS_FILES):
            self._save(name, [moments.sums()[i] for moments in self._moments])

    def go_on(self, bundle: Bundle, images: int) -> None:
        """Go on from the sums of so many images in a bundle, before anything is added. Raises BundleError."""
        cells, size = self._grid.cells, self._grid.channels
        shapes = ((size,), (size,), (size * (size + 1) // 2,))
        for name in SUMS_FILES:
            bundle.checked_file(name)
        stored = [
            bundle.array(name, (len(self._moments) * cells, *shape), dtype)
            for name, shape, dtype in zip(SUMS_FILES, shapes, ("float32", "float64", "float32"), strict=True)
        ]
        for frame, moments in enumerate(self._moments):
            moments.go_on(images, *(part[frame * cells : (frame + 1) * cells] for part in stored))

    def add(self, features: Features, numbers: Sequence[int] = ()) -> None:
        """Take in a batch of normal frames. numbers: which frame of its picture each is."""
        for i in range(len(features.embedding)):
            moments = self._moments[numbers[i] if numbers else 0]
            moments.add(self._grid.descriptors([level[i] for level in features.levels])[self._own])

    def close(self) -> int:
        """Write the bank; returns how many images it is of. Raises DataError with fewer than two."""
        for moments in self._moments:
            moments.settle()
            if moments.images < 2:
                raise DataError(f"a Gaussian bank needs at least 2 normal images, got {moments.images}; give more")
        self._save(MEAN_FILE, [moments.mean().astype(np.float32) for moments in self._moments])
        self._save(FACTOR_FILE, [self._packed(moments) for moments in self._moments])
        return self._moments[0].images

    def _save(self, name: str, frames: Sequence[np.ndarray]) -> None:
        """Write an array of all cells, of which each process has its own, of each frame."""
        parts = self._group.gather(frames, everyone=False)
        if self._group.is_rank_zero:
            (self._bundle / name).parent.mkdir(exist_ok=True)
            cells = [part[frame] for frame in range(len(frames)) for part in parts]
            np.save(self._bundle / name, np.concatenate(cells), allow_pickle=False)

    def _packed(self, moments: _Moments) -> np.ndarray:
        """The packed factors of the own cells, one after the other."""
        traces = [trace for part in self._group.gather(moments.traces(), everyone=True) for trace in part]
        isotropic = float(np.mean(traces)) / self._grid.channels
        packed = [np.zeros((0, packed_size(self._grid.channels, self.rank)), self._dtype)]
        for cell in range(moments.cells):
            covariance = shrunk(moments.covariance(cell), isotropic, self._shrinkage)
            factor = whitening_factor(covariance) if self.rank is None else low_rank_factor(covariance, self.rank)
            packed.append(kernel.pack_factors(factor[None], self.rank is None, self._dtype))
        return np.concatenate(packed)


class _Moments:
    """Sums and products of descriptors, cell by cell."""

    def __init__(self, cells: int, size: int) -> None:
        self.images = 0
        self.cells = cells
        # Sums are taken about the first buffer's mean, which keeps float32 products exact enough.
        self._origin: np.ndarray | None = None
        self._sum = np.zeros((cells, size))
        self._products = np.zeros((cells, size, size), dtype=np.float32)
        self._buffer: list[np.ndarray] = []

    def add(self, descriptors: np.ndarray) -> None:
        """descriptors: of one frame, (cells, D)."""
        self._buffer.append(descriptors)
        if len(self._buffer) == _BUFFERED:
            self.settle()

    def settle(self) -> None:
        """Add what is buffered to the sums."""
        if not self._buffer:
            return
        descriptors = np.stack(self._buffer, axis=1)  # (cells, images, D)
        if self._origin is None:
            self._origin = descriptors.mean(axis=1)
        descriptors = descriptors - self._origin[:, None]
        self._sum += descriptors.sum(axis=1)
        self._products += descriptors.transpose(0, 2, 1) @ descriptors
        self.images += len(self._buffer)
        self._buffer = []

    def sums(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Origin float32 (cells, D), sums float64 (cells, D) and lower triangles of the products float32 (cells, T)."""
        assert self._origin is not None
        rows, columns = np.tril_indices(self._sum.shape[1])
        return self._origin, self._sum, np.ascontiguousarray(self._products[:, rows, columns])

    def go_on(self, images: int, origin: np.ndarray, total: np.ndarray, triangles: np.ndarray) -> None:
        """Take up what `sums` gave."""
        rows, columns = np.tril_indices(total.shape[1])
        self.images, self._origin, self._sum = images, np.array(origin), np.array(total)
        self._products[:, rows, columns] = triangles
        self._products[:, columns, rows] = triangles

    def mean(self) -> np.ndarray:
        """float64 (cells, D)."""
        assert self._origin is not None
        mean: np.ndarray = self._origin + self._sum / self.images
        return mean

    def covariance(self, cell: int) -> np.ndarray:
        """Unbiased, float64 (D, D)."""
        total = self._sum[cell]
        centred: np.ndarray = self._products[cell] - np.outer(total, total) / self.images
        return centred / (self.images - 1)

    def traces(self) -> list[float]:
        """Of the covariances: the variances in all directions, added up."""
        return [float(np.trace(self.covariance(cell))) for cell in range(self.cells)]


def largest_rank(grid: DescriptorGrid, value_bytes: int, most: float, rank: int | None) -> int | None:
    """The rank, in steps of 16, at most that given (None for all), whose means and factors of one frame take at most
    `most` bytes; 0 where not even 16 does."""
    room = (most / grid.cells - 4 * grid.channels) / value_bytes  # numbers of one cell's factor
    if packed_size(grid.channels, rank) <= room:
        return rank
    # Where the triangular factor is too large, so is a full one of as many rows as there are channels.
    return 16 * max(0, int(room / packed_size(grid.channels, 16)))


def shrunk(covariance: np.ndarray, isotropic: float, shrinkage: float) -> np.ndarray:
    """covariance + shrinkage · isotropic · I: no direction is trusted to vary less than that, however few the images.

    isotropic: a typical variance, which makes shrinkage a number without a unit.
    """
    return covariance + shrinkage * max(isotropic, _LEAST_VARIANCE) * np.eye(len(covariance))


def whitening_factor(covariance: np.ndarray) -> np.ndarray:
    """W, lower triangular float64 (D, D), with WᵀW = covariance⁻¹: the inverse of its Cholesky factor."""
    return np.asarray(np.linalg.inv(np.linalg.cholesky(covariance)))


def low_rank_factor(covariance: np.ndarray, rank: int) -> np.ndarray:
    """W, float64 (rank, D): rows vᵢ/√λᵢ of the smallest eigenvalues of the covariance.

    Of all matrices of that rank WᵀW is the nearest to covariance⁻¹ (Eckart & Young), and |Wx|² never exceeds the whole
    squared distance. The directions in which normal images vary least are those that tell anomalies (Rippel et al.,
    "Modeling the distribution of normal data in pre-trained deep features", 2020).
    """
    variances, directions = np.linalg.eigh(covariance)  # ascending
    return np.asarray((directions[:, :rank] / np.sqrt(variances[:rank])).T)
