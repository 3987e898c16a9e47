"""Context: averages over neighbouring cells, compared with those of normal pictures.

Inside a large defect each small part may look nearly normal, and only more of it at once does not. What the averages
find beyond normal pictures is added to the distances, so that the step changes nothing where it finds nothing. It is
asked only where a distance is not low already.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from panda_edge import kernel
from panda_edge.banks.bank import SearchOptions
from panda_edge.banks.exact import PyramidGallery
from panda_edge.banks.level_files import grid_of
from panda_edge.banks.query import Found, Query
from panda_edge.bundle.fields import number, table
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Level, Manifest
from panda_edge.search.steps.leave_one_out import LEAVE_ONE_OUT_DTYPE, LeaveOneOutDistances
from panda_edge.search.steps.step import Apply, FrameArray, frame_array, needs_exact

CONTEXT_LEAVE_ONE_OUT_FILE = "bank/context_leave_one_out.npy"
_DTYPE = "float16"


@dataclass(frozen=True)
class Context:
    """A cell's context distance d is that of its 3 × 3 average, less its match's leave-one-out part.

    Attributes:
        factor, floor: factor · d − floor is added where it is above 0.
        above: It is asked below coarsest cells where a distance is higher than this.
        share: Of the match's leave-one-out distance that is subtracted from the average's, 0 to 1.
    """

    name: ClassVar[str] = "context"
    factor: float
    floor: float
    above: float
    share: float

    @classmethod
    def read(cls, plain: Any, where: str) -> Context:
        fields = {"factor": number(0, 1e6), "floor": number(0, 1e12), "above": number(0, 1e12), "share": number(0, 1)}
        return table(cls, **fields)(plain, where)

    def check(self, manifest: Manifest, where: str) -> None:
        needs_exact(manifest, where)

    @staticmethod
    def files(levels: Sequence[Level]) -> dict[str, FrameArray]:
        cells = context_grid(levels)
        own = FrameArray((cells.height, cells.width), LEAVE_ONE_OUT_DTYPE)
        return {**context_levels(levels), CONTEXT_LEAVE_ONE_OUT_FILE: own}

    def open(self, bundle: Bundle, options: SearchOptions) -> Apply:
        search = ContextSearch(bundle, options, self.share)
        levels, grid = bundle.manifest.levels, grid_of(bundle)
        finer, finest = levels[-1].height // context_grid(levels).height, levels[-1].height // grid[0]

        def apply(distances: np.ndarray, found: Found, query: Query) -> np.ndarray:
            high = distances.reshape(grid[0], finest, grid[1], finest).max(axis=(1, 3)) > self.above
            if query.active_cells is not None:
                high &= query.active_cells
            return distances + self._excess(search, query, high, finer) if high.any() else distances

        return apply

    def _excess(self, search: ContextSearch, query: Query, high: np.ndarray, finer: int) -> np.ndarray:
        """What is added, float32 (h, w) of the finest level, 0 or more. high: bool, coarsest cells that are asked."""
        nothing = self.floor / self.factor if self.factor else 0.0  # a distance that adds nothing, nor do lesser ones
        within = dataclasses.replace(query, active_cells=high, enough=nothing)
        beyond = search.distances(within) * np.float32(self.factor) - np.float32(self.floor)
        found: np.ndarray = np.maximum(beyond, np.float32(0))
        return found.repeat(finer, axis=0).repeat(finer, axis=1)

    def said(self) -> str:
        return "context added"


class ContextSearch:
    """Context distances of a frame: of its 3 × 3 averages, less the matches' leave-one-out part."""

    def __init__(self, bundle: Bundle, options: SearchOptions, share: float) -> None:
        files = Context.files(bundle.manifest.levels)
        own = frame_array(bundle, CONTEXT_LEAVE_ONE_OUT_FILE, files[CONTEXT_LEAVE_ONE_OUT_FILE])
        self._own = LeaveOneOutDistances(own, share)
        self._grid, window = grid_of(bundle), bundle.manifest.segmentation.window
        self._gallery = PyramidGallery(context_frames(bundle), self._grid, options.threads, options.epsilon, window)

    def distances(self, query: Query) -> np.ndarray:
        """float32 (h, w) of `context_grid`. query: levels of the frame itself; enough: of the distances returned."""
        enough = query.enough + self._own.least(query.neighbors) if query.enough else 0.0
        averages = kernel.averages(query.levels, self._grid)
        found = self._gallery.search(dataclasses.replace(query, levels=averages, enough=enough))
        assert found.matches is not None
        return self._own.subtracted(np.sqrt(found.squared), found.matches)


def context_grid(levels: Sequence[Level]) -> Level:
    """The level whose cells have context distances: the second-coarsest one, or the only one."""
    return levels[:2][-1]


def context_levels(levels: Sequence[Level]) -> dict[str, FrameArray]:
    """The files that hold the stored frames' averages, coarse first: (cells, channels) of a frame."""
    shapes = kernel.average_shapes([(level.height * level.width, level.channels) for level in levels])
    return {
        f"bank/context_stride{level.stride:02d}.npy": FrameArray(shape, _DTYPE)
        for level, shape in zip(levels, shapes, strict=False)
    }


def context_frames(bundle: Bundle) -> list[np.ndarray]:
    """The stored frames' averages: of each level float16 (N, cells, channels), mapped. Raises BundleError."""
    files = context_levels(bundle.manifest.levels)
    return [frame_array(bundle, name, array) for name, array in files.items()]
