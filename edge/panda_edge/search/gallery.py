"""Banks of pyramid features: how far each position of an image is from the nearest normal one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from panda_edge.bundle.folder import Bundle
from panda_edge.search.coreset import BASIS_FILE, CORESET_FILE, CoresetGallery, CoresetGrid
from panda_edge.search.coreset import MEAN_FILE as CORESET_MEAN_FILE
from panda_edge.search.flat import FlatGallery, LevelMeansGallery
from panda_edge.search.gaussian import FACTOR_FILE, MEAN_FILE, DescriptorGrid, GaussianGallery, packed_size
from panda_edge.search.joint_hnsw import JointHnswGallery
from panda_edge.search.kernel import Rows
from panda_edge.search.level_files import JOINT_HNSW_FILE, level_file, scales_file
from panda_edge.search.pyramid import PyramidGallery
from panda_edge.search.query import Found, Query


class Gallery(Protocol):
    needs_neighbors: bool
    """Whether `Query.neighbors` must name the normal images that are similar."""

    def search(self, query: Query) -> Found:
        """The distance of each cell's joint descriptor to the nearest stored one.

        Below inactive cells it is 0, in every bank: steps of the map rely on it.
        """


@dataclass(frozen=True)
class SearchOptions:
    """threads: of one search. epsilon: distances may be up to (1 + epsilon) times the true ones; 0 is exact."""

    threads: int
    epsilon: float = 0.0


def open_gallery(bundle: Bundle, options: SearchOptions) -> Gallery:
    """The gallery that a bundle's manifest names. Raises BundleError."""
    return _OPENERS[bundle.manifest.segmentation.bank](bundle, options)


def _open_pyramid(bundle: Bundle, options: SearchOptions) -> Gallery:
    window = bundle.manifest.segmentation.window
    return PyramidGallery(stored_frames(bundle), grid_of(bundle), options.threads, options.epsilon, window)


def _open_flat(bundle: Bundle, options: SearchOptions) -> Gallery:
    stored = level_arrays(bundle, [(level.channels,) for level in bundle.manifest.levels])
    return FlatGallery(stored, grid_of(bundle), options.threads)


def _open_level_means(bundle: Bundle, options: SearchOptions) -> Gallery:
    levels = bundle.manifest.levels
    stored = level_arrays(bundle, [(level.channels,) for level in levels])
    cells = [level.height * level.width for level in levels]
    return LevelMeansGallery(stored, cells, grid_of(bundle), options.threads)


def _open_joint_hnsw(bundle: Bundle, options: SearchOptions) -> Gallery:
    manifest = bundle.manifest
    channels = sum(level.channels for level in manifest.levels)
    assert manifest.segmentation.ef is not None  # read_manifest checked it
    return JointHnswGallery(
        bundle.checked_file(JOINT_HNSW_FILE),
        manifest.segmentation.count,
        channels,
        manifest.segmentation.ef,
        grid_of(bundle),
        options.threads,
    )


def _open_coreset(bundle: Bundle, options: SearchOptions) -> Gallery:
    grid = CoresetGrid(bundle.manifest.levels)
    segmentation = bundle.manifest.segmentation
    stored = bundle.array(CORESET_FILE, (segmentation.count, grid.channels), segmentation.dtype)
    mean = bundle.array(CORESET_MEAN_FILE, (grid.channels,), "float32")
    basis = bundle.array(BASIS_FILE, (grid.channels, grid.channels), "float32")
    return CoresetGallery(stored, mean, basis, grid, options.threads)


def _open_gaussian(bundle: Bundle, options: SearchOptions) -> Gallery:
    segmentation = bundle.manifest.segmentation
    grid = DescriptorGrid(bundle.manifest.levels, segmentation.average)
    cells = grid.cells * bundle.manifest.preprocessing.frames
    mean = bundle.array(MEAN_FILE, (cells, grid.channels), "float32")
    size = packed_size(grid.channels, segmentation.rank)
    factors = bundle.array(FACTOR_FILE, (cells, size), segmentation.dtype)
    return GaussianGallery(mean, factors, grid, options.threads, segmentation.rank)


# What the manifest's `segmentation.bank` may be; a new kind of gallery is a row here.
_OPENERS: dict[str, Callable[[Bundle, SearchOptions], Gallery]] = {
    "exact": _open_pyramid,
    "kmeans": _open_flat,
    "kmeans-levels": _open_level_means,
    "coreset": _open_coreset,
    "hnsw": _open_joint_hnsw,
    "gaussian": _open_gaussian,
}


def stored_frames(bundle: Bundle) -> list[Rows]:
    """What an exact gallery holds of each level, coarse first: (N, cells, channels)."""
    return level_arrays(bundle, [(level.height * level.width, level.channels) for level in bundle.manifest.levels])


def frame_levels(stored: Sequence[Rows], number: int) -> list[np.ndarray]:
    """One frame of `stored_frames`: each level float32 (cells, channels), coarse first, in nested order."""
    found = []
    for level in stored:
        if isinstance(level, tuple):
            rows, scales = level[0][number], level[1][number]
            found.append(scales[:, :1] + scales[:, 1:] * rows.astype(np.float32))
        else:
            found.append(level[number].astype(np.float32))
    return found


def level_arrays(bundle: Bundle, shapes: Sequence[tuple[int, ...]]) -> list[Rows]:
    """What is stored of each level. shapes: of an entry, with the channels last."""
    count, dtype = bundle.manifest.segmentation.count, bundle.manifest.segmentation.dtype
    stored: list[Rows] = []
    for level, shape in zip(bundle.manifest.levels, shapes, strict=True):
        rows = bundle.array(level_file(level), (count, *shape), dtype)
        if dtype == "uint8":
            scales = bundle.array(scales_file(level), (count, *shape[:-1], 2), "float32")
            stored.append((rows, scales))
        else:
            stored.append(rows)
    return stored


def grid_of(bundle: Bundle) -> tuple[int, int]:
    """(height, width) of the coarsest level."""
    coarsest = bundle.manifest.levels[0]
    return coarsest.height, coarsest.width
