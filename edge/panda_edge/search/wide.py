"""A wider look: averages over neighbouring cells, compared with those of normal pictures.

Inside a large defect each small part may look nearly normal, and only more of it at once does not. What the wider look
finds beyond the usual is added to the distances, so that it changes nothing where it finds nothing; and it is taken
only where a distance is not low already. `builder/wide.py` measures what is usual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Level, Wide
from panda_edge.search import kernel
from panda_edge.search.gallery import SearchOptions, grid_of
from panda_edge.search.own_distances import OWN_DISTANCES_DTYPE, OwnDistances
from panda_edge.search.pyramid import PyramidGallery
from panda_edge.search.query import Query

WIDE_OWN_DISTANCES_FILE = "bank/wide_own_distances.npy"
WIDE_DTYPE = "float16"


def wide_grid(levels: Sequence[Level]) -> Level:
    """The level whose cells a wider look has: the second-coarsest one, or the only one."""
    return levels[:2][-1]


def wide_files(levels: Sequence[Level]) -> dict[str, tuple[int, int]]:
    """The files that hold the stored frames at a wider look, coarse first, and what they hold of a frame: (cells,
    channels)."""
    shapes = kernel.wide_shapes([(level.height * level.width, level.channels) for level in levels])
    return {f"bank/wide_stride{level.stride:02d}.npy": shape for level, shape in zip(levels, shapes, strict=False)}


def wide_frames(bundle: Bundle) -> list[np.ndarray]:
    """What an exact gallery's stored frames are at a wider look: of each level float16 (N, cells, channels), mapped.
    Raises BundleError."""
    count = bundle.manifest.segmentation.count
    return [
        bundle.array(name, (count, *shape), WIDE_DTYPE) for name, shape in wide_files(bundle.manifest.levels).items()
    ]


class WideLook:
    """What is added to the distances of a frame's finest cells."""

    def __init__(self, gallery: PyramidGallery, bundle: Bundle, beyond: Wide) -> None:
        """gallery: of the bundle's `wide_frames`."""
        self._gallery, self._beyond, self._grid = gallery, beyond, grid_of(bundle)
        levels = bundle.manifest.levels
        self._finer = levels[-1].height // wide_grid(levels).height
        self._finest = levels[-1].height // levels[0].height

    def excess(self, distances: np.ndarray, query: Query) -> np.ndarray | float:
        """float32 (h, w) of the finest level, 0 or more; or 0 where nothing is high. distances: of the finest cells,
        (h, w)."""
        height, width = self._grid
        high = distances.reshape(height, self._finest, width, self._finest).max(axis=(1, 3)) > self._beyond.above
        if query.active_cells is not None:
            high &= query.active_cells
        if not high.any():
            return 0.0
        widened, nothing = kernel.widened(query.levels, self._grid), 0.0
        if self._beyond.factor:
            nothing = self._beyond.floor / self._beyond.factor  # a distance that adds nothing, nor do lesser ones
        squared = self._gallery.search(replace(query, levels=widened, active_cells=high, enough=nothing)).squared
        beyond = np.sqrt(squared) * np.float32(self._beyond.factor) - np.float32(self._beyond.floor)
        found: np.ndarray = np.maximum(beyond, np.float32(0))
        return found.repeat(self._finer, axis=0).repeat(self._finer, axis=1)


def open_wide(bundle: Bundle, options: SearchOptions) -> WideLook | None:
    """The wider look that a bundle's manifest asks for; None where it asks for none. Raises BundleError."""
    beyond = bundle.manifest.segmentation.wide
    return None if beyond is None else WideLook(wide_gallery(bundle, options), bundle, beyond)


def wide_gallery(bundle: Bundle, options: SearchOptions) -> PyramidGallery:
    """What searches `wide_frames`, less the share of their own distances that the bundle takes off."""
    maps, cells = bundle.manifest.segmentation, wide_grid(bundle.manifest.levels)
    own = None
    if maps.discount:
        shape = maps.count, cells.height, cells.width
        own = OwnDistances(bundle.array(WIDE_OWN_DISTANCES_FILE, shape, OWN_DISTANCES_DTYPE), maps.discount)
    return PyramidGallery(wide_frames(bundle), grid_of(bundle), options.threads, options.epsilon, maps.window, own)
