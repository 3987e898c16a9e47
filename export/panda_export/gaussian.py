"""Estimating one Gaussian a position from normal images that stream by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from panda_edge.bundle.manifest import Level
from panda_edge.bundle.model import Features
from panda_edge.errors import DataError, PandaError
from panda_edge.search import kernel
from panda_edge.search.gaussian import FACTOR_FILE, MEAN_FILE, DescriptorGrid

_BUFFERED = 32  # images whose second moments are added at once
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
    ) -> None:
        """average: see `DescriptorGrid`. shrinkage: towards equal variance in all directions (see `shrunk`). rank: of
        the factors, from 1 to the channels; None for all directions. Raises PandaError for another rank."""
        self._bundle = bundle
        self._dtype = np.dtype(dtype)
        self._shrinkage = shrinkage
        self._grid = DescriptorGrid(levels, average)
        cells, size = self._grid.cells, self._grid.channels
        if rank is not None and not 1 <= rank <= size:
            raise PandaError(f"rank is {rank}; expected 1 to {size}, the levels' channels")
        self._rank = rank
        self._images = 0
        # Sums are taken about the first buffer's mean, which keeps float32 products exact enough.
        self._origin: np.ndarray | None = None
        self._sum = np.zeros((cells, size))
        self._products = np.zeros((cells, size, size), dtype=np.float32)
        self._buffer: list[np.ndarray] = []

    def add(self, features: Features) -> None:
        """Take in a batch of normal images."""
        for i in range(len(features.embedding)):
            self._buffer.append(self._grid.descriptors([level[i] for level in features.levels]))
            if len(self._buffer) == _BUFFERED:
                self._settle()

    def close(self) -> int:
        """Write the bank; returns how many images it is of. Raises DataError with fewer than two."""
        self._settle()
        if self._images < 2:
            raise DataError(f"a Gaussian bank needs at least 2 normal images, got {self._images}; give more")
        assert self._origin is not None
        mean = self._origin + self._sum / self._images
        np.save(self._bundle / MEAN_FILE, mean.astype(np.float32), allow_pickle=False)
        isotropic = self._mean_variance()
        packed = [
            kernel.pack_factors(self._factor(cell, isotropic)[None], self._rank is None, self._dtype)
            for cell in range(self._grid.cells)
        ]
        np.save(self._bundle / FACTOR_FILE, np.concatenate(packed), allow_pickle=False)
        return self._images

    def _settle(self) -> None:
        if not self._buffer:
            return
        descriptors = np.stack(self._buffer, axis=1)  # (cells, images, D)
        if self._origin is None:
            self._origin = descriptors.mean(axis=1)
        descriptors = descriptors - self._origin[:, None]
        self._sum += descriptors.sum(axis=1)
        self._products += descriptors.transpose(0, 2, 1) @ descriptors
        self._images += len(self._buffer)
        self._buffer = []

    def _covariance(self, cell: int) -> np.ndarray:
        """Unbiased, float64 (D, D)."""
        total = self._sum[cell]
        centred: np.ndarray = self._products[cell] - np.outer(total, total) / self._images
        return centred / (self._images - 1)

    def _mean_variance(self) -> float:
        """Over all positions and directions."""
        return (
            float(np.mean([np.trace(self._covariance(cell)) for cell in range(self._grid.cells)])) / self._grid.channels
        )

    def _factor(self, cell: int, isotropic: float) -> np.ndarray:
        covariance = shrunk(self._covariance(cell), isotropic, self._shrinkage)
        return whitening_factor(covariance) if self._rank is None else low_rank_factor(covariance, self._rank)


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
