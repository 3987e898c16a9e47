"""The nearest of a k-centre choice of the normal images' descriptors (Roth et al., "PatchCore", CVPR 2022)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from panda_edge import kernel
from panda_edge.banks.bank import Averaging, Building, Layout, OfDescriptors, Room, SearchOptions, Traits
from panda_edge.banks.level_files import raster_order
from panda_edge.banks.query import Found, Query
from panda_edge.banks.samples import DescriptorSample
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Level, Manifest
from panda_edge.bundle.model import Features, default_threads

CORESET_FILE = "bank/coreset.npy"
MEAN_FILE = "bank/coreset_mean.npy"
BASIS_FILE = "bank/coreset_basis.npy"

_MAX_DESCRIPTORS = 600_000  # that the coreset is chosen from, drawn evenly over the images: 0.2 GB
_COMPARED = 64  # directions that the choice looks at: nine tenths of the variance, at well under half the time
_LEAF = 64  # rows that the search bounds together (LEAF_ROWS of the kernel)
_SPLIT_BY = 8  # directions in which it bounds them (BOX_PAIRS)
_BLOCK = 65_536  # rows turned at once


@dataclass(frozen=True)
class Coreset(OfDescriptors):
    """A choice of descriptors that lies near to all others is kept."""

    name: ClassVar[str] = "coreset"
    traits: ClassVar[Traits] = Traits(
        dtypes=("float16", "float32"),
        own_average=3,
        needs_every_level=True,
        takes_copies=True,
        extend_files=(CORESET_FILE,),
    )

    def averaging(self, strides: Sequence[int], average: int) -> Averaging:
        # As PatchCore does it; the finest level is not part of the descriptor.
        last = 1 if len(strides) > 1 else average
        return Averaging((*[average] * (len(strides) - 1), last), padded=True)

    def shrunk(self, layout: Layout, room: Room) -> tuple[Coreset, int, str]:
        """Keeps fewer descriptors."""
        channels = CoresetGrid(layout.levels).channels
        each, once = np.dtype(layout.dtype).itemsize * channels, 4 * channels * (channels + 1)  # mean and directions
        vectors = min(self.vectors, int((room.most - room.images * room.embedding - once) / each))
        return replace(self, vectors=max(1, vectors)), vectors, f"{vectors} descriptors"

    def writer(self, building: Building) -> CoresetWriter:
        return CoresetWriter(building, self.vectors)

    def fields(self, average: int) -> dict[str, Any]:
        return {}

    @staticmethod
    def files(levels: Sequence[Level]) -> set[str]:
        return {CORESET_FILE, MEAN_FILE, BASIS_FILE}

    @staticmethod
    def check(manifest: Manifest, where: str) -> None:
        pass

    @staticmethod
    def open(bundle: Bundle, options: SearchOptions) -> CoresetGallery:
        grid = CoresetGrid(bundle.manifest.levels)
        return CoresetGallery(*_stored(bundle, grid), grid, options.threads)


def _stored(bundle: Bundle, grid: CoresetGrid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Descriptors, mean and directions of a bundle, mapped. Raises BundleError."""
    maps, channels = bundle.manifest.segmentation, grid.channels
    return (
        bundle.array(CORESET_FILE, (maps.count, channels), maps.dtype),
        bundle.array(MEAN_FILE, (channels,), "float32"),
        bundle.array(BASIS_FILE, (channels, channels), "float32"),
    )


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


class CoresetWriter:
    """Draws descriptors; at the end, those such that the farthest of the others is as near as greedy k-centre makes it.

    Written: the descriptors' mean, the directions in which they vary, most first, and the chosen ones turned into them,
    in an order of space.
    """

    def __init__(self, building: Building, vectors: int) -> None:
        """vectors: how many to keep."""
        self._folder, layout = building.folder, building.layout
        self._grid = CoresetGrid(layout.levels)
        self._vectors = vectors
        self._dtype = np.dtype(layout.dtype)
        self._there = np.zeros((0, self._grid.channels), np.float32)
        self._turned_by: tuple[np.ndarray, np.ndarray] | None = None
        self._sample = DescriptorSample(self._grid.cells, building.coming, _MAX_DESCRIPTORS, building.seed)
        if building.there is not None:  # its descriptors are chosen from, too, in its directions
            stored, mean, basis = _stored(building.there, self._grid)
            self._there, self._turned_by = np.array(stored, dtype=np.float32), (mean, basis)

    def add(self, features: Features, numbers: Sequence[int] = ()) -> None:
        """Take in a batch of normal frames."""
        for i in range(len(features.embedding)):
            self._sample.add(self._grid.descriptors([level[i] for level in features.levels]))

    def close(self) -> int:
        """Write the bank; returns how many descriptors it has."""
        drawn = self._sample.drawn()
        if drawn is None:
            return 0
        mean, basis = self._turned_by or principal_directions(drawn)
        threads = default_threads()
        first = basis[:, :_COMPARED]
        blocks = (kernel.project(block, mean, first, threads).astype(np.float16) for block in _blocks(drawn))
        compared = np.concatenate([self._there[:, :_COMPARED].astype(np.float16), *blocks])
        chosen = kernel.k_centre(compared, min(self._vectors, len(compared)), threads=threads)
        old, new = chosen[chosen < len(self._there)], chosen[chosen >= len(self._there)] - len(self._there)
        turned_new = (kernel.project(block, mean, basis, threads) for block in _blocks(drawn[new]))
        turned = np.concatenate([self._there[old], *turned_new])
        stored = turned[order_of_space(turned)].astype(self._dtype)
        np.save(self._folder / CORESET_FILE, stored, allow_pickle=False)
        np.save(self._folder / MEAN_FILE, mean, allow_pickle=False)
        np.save(self._folder / BASIS_FILE, basis, allow_pickle=False)
        return len(stored)


def principal_directions(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean, float32 (D,), and eigenvectors of the covariance as columns, float32 (D, D), largest variance first."""
    total = np.zeros(rows.shape[1])
    products = np.zeros((rows.shape[1], rows.shape[1]))
    origin = rows[:1].astype(np.float64)
    for block in _blocks(rows):
        away = block.astype(np.float64) - origin
        total += away.sum(axis=0)
        products += away.T @ away
    mean = total / len(rows)
    _, directions = np.linalg.eigh(products / len(rows) - np.outer(mean, mean))  # ascending
    return (origin[0] + mean).astype(np.float32), np.ascontiguousarray(directions[:, ::-1], dtype=np.float32)


def order_of_space(points: np.ndarray) -> np.ndarray:
    """Row numbers of points (N, D), those of each run of 64 near to each other in the first columns.

    They are the leaves of a k-d tree: halved again and again, across the column of largest variance.
    """
    near = points[:, :_SPLIT_BY]
    leaves: list[np.ndarray] = []
    waiting = [np.arange(len(points))]
    while waiting:
        rows = waiting.pop()
        if len(rows) <= _LEAF:
            leaves.append(rows)
            continue
        column = near[rows, np.argmax(near[rows].var(axis=0))]
        half = max(1, round(len(rows) / _LEAF / 2)) * _LEAF  # whole leaves, so that only the last one is not full
        parts = np.argpartition(column, half)
        waiting += [rows[parts[half:]], rows[parts[:half]]]
    return np.concatenate(leaves)


def _blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    return (rows[first : first + _BLOCK] for first in range(0, len(rows), _BLOCK))
