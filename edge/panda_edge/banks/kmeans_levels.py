"""Means of each level by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from panda_edge import kernel
from panda_edge.banks.bank import Building, SearchOptions
from panda_edge.banks.kmeans import MOST_DRAWN, KMeans
from panda_edge.banks.level_files import grid_of, mean_arrays, unnest, write_parts
from panda_edge.banks.query import Found, Query
from panda_edge.banks.samples import DescriptorSample
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.model import Features


@dataclass(frozen=True)
class KMeansLevels(KMeans):
    """As a k-means bank, with so many centres of each level."""

    name: ClassVar[str] = "kmeans-levels"

    def writer(self, building: Building) -> LevelMeansWriter:
        return LevelMeansWriter(building, self.means)

    @staticmethod
    def open(bundle: Bundle, options: SearchOptions) -> LevelMeansGallery:
        cells = [level.height * level.width for level in bundle.manifest.levels]
        return LevelMeansGallery(mean_arrays(bundle), cells, grid_of(bundle), options.threads)


class LevelMeansGallery:
    """The nearest of M means of each level by itself: the levels' squared distances add up.

    So M means a level stand for M^levels joint descriptors, normal together or not.
    """

    needs_neighbors = False

    def __init__(self, means: Sequence[kernel.Rows], cells: Sequence[int], grid: tuple[int, int], threads: int) -> None:
        """means: coarse first, each (M, channels); cells: of each level; grid: of the coarsest."""
        # A search over one level keeps the order of its cells: nested in, nested out.
        self._searches = [
            kernel.MeanSearch([level], (1, count), threads) for level, count in zip(means, cells, strict=True)
        ]
        self._grid = grid

    def search(self, query: Query) -> Found:
        squared = np.zeros(1, np.float32)
        coarsest = None if query.active_cells is None else query.active_cells.reshape(1, -1)
        for search, level in zip(self._searches, query.levels, strict=True):
            cells = None if coarsest is None else coarsest.repeat(len(level) // coarsest.size, axis=1)
            nearest, _ = search.nearest([level], cells)
            squared = np.repeat(squared, nearest.size // squared.size) + nearest[0]
        return Found(unnest(squared, self._grid))


class LevelMeansWriter:
    """Draws descriptors of each level by itself; at the end, as many k-means centres at every level."""

    def __init__(self, building: Building, means: int) -> None:
        self._building, self._means = building, means
        self._samples = [
            DescriptorSample(level.height * level.width, building.coming, MOST_DRAWN, building.seed)
            for level in building.layout.levels
        ]

    def add(self, features: Features, numbers: Sequence[int] = ()) -> None:
        for sample, level in zip(self._samples, features.levels, strict=True):
            for descriptors in level:
                sample.add(descriptors)

    def close(self) -> int:
        drawn = [found for sample in self._samples if (found := sample.drawn()) is not None]
        if not drawn:
            return 0
        count, made = min(self._means, *(len(found) for found in drawn)), self._building
        for level, found in zip(made.layout.levels, drawn, strict=True):
            centres = made.centres.of_descriptors(found, count, made.seed)
            write_parts(made.folder, (level,), centres, made.layout.dtype)
        return count
