"""One Gaussian a position (Defard et al., "PaDiM", 2020), with the covariance of the whole joint descriptor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from panda_edge import kernel
from panda_edge.banks.bank import Averaging, Building, Layout, Room, SearchOptions, Traits
from panda_edge.banks.embeddings import EmbeddingKind, image_embeddings
from panda_edge.banks.query import Found, Query
from panda_edge.bundle.fields import whole
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Level, Manifest
from panda_edge.bundle.model import Features
from panda_edge.errors import BundleError, DataError, PandaError

MEAN_FILE = "bank/gaussian_mean.npy"
FACTOR_FILE = "bank/gaussian_factor.npy"
SUMS_FILES = ("extend/gaussian_origin.npy", "extend/gaussian_sum.npy", "extend/gaussian_products.npy")

_BUFFERED = 32  # images whose second moments are added at once
_MOST_BYTES = 6_000_000_000  # that covariances may take while they are estimated
_LEAST_VARIANCE = 1e-6  # that of identical images is 0; whitening by less would leave the range of float16


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian is kept of each cell of the second-finest level, for every frame of a picture.

    Attributes:
        shrinkage: Of the covariances towards equal variance in all directions (see `shrunk`), 0 or more.
        rank: How many directions of them are kept, those of least variance; None for all.
    """

    name: ClassVar[str] = "gaussian"
    traits: ClassVar[Traits] = Traits(
        dtypes=("float16", "float32"),
        own_average=3,
        needs_every_level=True,
        all_write=True,
        pipelined=True,
        extend_files=SUMS_FILES,
    )
    by_place: ClassVar[bool] = True

    shrinkage: float = 1e-3
    rank: int | None = None

    def __post_init__(self) -> None:
        if not self.shrinkage >= 0:
            raise PandaError(f"shrinkage is {self.shrinkage}; expected 0 or more")
        if self.rank is not None and self.rank < 1:
            raise PandaError(f"rank is {self.rank}; expected 1 or more")

    def embeddings(self, asked: str, images: int) -> EmbeddingKind:
        return image_embeddings(asked, images)

    def averaging(self, strides: Sequence[int], average: int) -> Averaging:
        return Averaging((1,) * len(strides))  # it averages for itself, after joining them

    def shrunk(self, layout: Layout, room: Room) -> tuple[Gaussian, int, str]:
        """Keeps fewer directions of each covariance, in steps of 16."""
        grid, most = DescriptorGrid(layout.levels, layout.average), room.most - room.images * room.embedding
        rank = largest_rank(grid, np.dtype(layout.dtype).itemsize, most / layout.frames, self.rank)
        kept = grid.channels if rank is None else rank
        return replace(self, rank=rank if rank is None else max(1, rank)), kept, f"rank {kept} of {grid.channels}"

    def writer(self, building: Building) -> GaussianWriter:
        return GaussianWriter(building, self)

    def fields(self, average: int) -> dict[str, Any]:
        return {"average": average, "rank": self.rank}

    @staticmethod
    def files(levels: Sequence[Level]) -> set[str]:
        return {MEAN_FILE, FACTOR_FILE}

    @staticmethod
    def check(manifest: Manifest, where: str) -> None:
        maps, tiles = manifest.segmentation, manifest.preprocessing.tiles
        if maps.average % 2 == 0:
            raise BundleError(f"{where}: average is {maps.average}, expected an odd number")
        if maps.rank is not None:
            whole(1, sum(level.channels for level in manifest.levels))(maps.rank, f"{where}: rank")
        if tiles is not None and (tiles.height is None or tiles.width is None):
            raise BundleError(f"{where}: a gaussian bank of tiles needs a height and a width")

    @staticmethod
    def open(bundle: Bundle, options: SearchOptions) -> GaussianGallery:
        maps = bundle.manifest.segmentation
        grid = DescriptorGrid(bundle.manifest.levels, maps.average)
        cells = grid.cells * bundle.manifest.preprocessing.frames
        mean = bundle.array(MEAN_FILE, (cells, grid.channels), "float32")
        factors = bundle.array(FACTOR_FILE, (cells, packed_size(grid.channels, maps.rank)), maps.dtype)
        return GaussianGallery(mean, factors, grid, options.threads, maps.rank)


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


class GaussianWriter:
    """Means and covariances of the joint descriptors, position by position, in memory that the images do not grow.

    Written, row by row of the grid: the means, float32 (cells, D), and whitening factors, packed as
    `kernel.gaussian_distance` wants them.
    """

    def __init__(self, building: Building, bank: Gaussian) -> None:
        """Each process of the group, which must get all frames, has the sums of its share of the cells. Raises
        PandaError where the frames' covariances do not fit into memory."""
        self._folder, self._group, self._bank = building.folder, building.group, bank
        self._extendable, layout = building.extendable, building.layout
        self._dtype = np.dtype(layout.dtype)
        self._grid = DescriptorGrid(layout.levels, layout.average)
        size, frames, group = self._grid.channels, layout.frames, building.group
        needed = 4 * frames * self._grid.cells * size * size
        if frames > 1 and needed > _MOST_BYTES:
            raise PandaError(
                f"{frames} tiles a picture: their covariances need {needed / 1e9:.1f} GB, at most "
                f"{_MOST_BYTES / 1e9:.0f} are allowed; use fewer tiles or --bank exact or coreset"
            )
        if bank.rank is not None and bank.rank > size:
            raise PandaError(f"rank is {bank.rank}; expected 1 to {size}, the levels' channels")
        bounds = [self._grid.cells * rank // group.count for rank in (group.rank, group.rank + 1)]
        self._own = slice(*bounds)
        self._moments = [_Moments(bounds[1] - bounds[0], size) for _ in range(frames)]
        if building.there is not None:
            self._go_on(building.there)

    def _go_on(self, bundle: Bundle) -> None:
        cells, size = self._grid.cells, self._grid.channels
        shapes = ((size,), (size,), (size * (size + 1) // 2,))
        for name in SUMS_FILES:
            bundle.checked_file(name)
        stored = [
            bundle.array(name, (len(self._moments) * cells, *shape), dtype)
            for name, shape, dtype in zip(SUMS_FILES, shapes, ("float32", "float64", "float32"), strict=True)
        ]
        for frame, moments in enumerate(self._moments):
            own = slice(frame * cells + self._own.start, frame * cells + self._own.stop)
            moments.go_on(bundle.manifest.segmentation.count, *(part[own] for part in stored))

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
        if self._extendable:
            for i, name in enumerate(SUMS_FILES):
                self._save(name, [moments.sums()[i] for moments in self._moments])
        return self._moments[0].images

    def _save(self, name: str, frames: Sequence[np.ndarray]) -> None:
        """Write an array of all cells, of which each process has its own, of each frame."""
        parts = self._group.gather(frames, everyone=False)
        if self._group.is_rank_zero:
            (self._folder / name).parent.mkdir(exist_ok=True)
            cells = [part[frame] for frame in range(len(frames)) for part in parts]
            np.save(self._folder / name, np.concatenate(cells), allow_pickle=False)

    def _packed(self, moments: _Moments) -> np.ndarray:
        """The packed factors of the own cells, one after the other."""
        traces = [trace for part in self._group.gather(moments.traces(), everyone=True) for trace in part]
        isotropic = float(np.mean(traces)) / self._grid.channels
        rank = self._bank.rank
        packed = [np.zeros((0, packed_size(self._grid.channels, rank)), self._dtype)]
        for cell in range(moments.cells):
            covariance = shrunk(moments.covariance(cell), isotropic, self._bank.shrinkage)
            factor = (
                whitening_factor(covariance)
                if self._bank.rank is None
                else low_rank_factor(covariance, self._bank.rank)
            )
            packed.append(kernel.pack_factors(factor[None], rank is None, self._dtype))
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
