"""M descriptors for all normal images: k-means centres (PANDA §4.3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from panda_edge import kernel
from panda_edge.banks.bank import (
    Averaging,
    Building,
    Gallery,
    Layout,
    Room,
    SearchOptions,
    Traits,
    Writer,
    check_number,
)
from panda_edge.banks.embeddings import MeanEmbeddings
from panda_edge.banks.level_files import averaged_cells, grid_of, level_files, mean_arrays, row_bytes, write_parts
from panda_edge.banks.query import Found, Query
from panda_edge.banks.samples import DescriptorWriter
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Level, Manifest
from panda_edge.errors import PandaError

MOST_DRAWN = 100_000  # descriptors that means are made of


@dataclass(frozen=True)
class KMeans:
    """Centres of the joint descriptors are kept, and as many of the embeddings.

    Attributes:
        means: How many, at most as many as there are descriptors.
    """

    name: ClassVar[str] = "kmeans"
    traits: ClassVar[Traits] = Traits()
    by_place: ClassVar[bool] = False

    means: int = 50

    def __post_init__(self) -> None:
        check_number("--means", self.means)

    def embeddings(self, asked: str, images: int) -> MeanEmbeddings:
        if asked != "auto":
            raise PandaError(
                f"--embeddings {asked}: a {self.name} bank keeps {MeanEmbeddings.name}; leave one of them out"
            )
        return MeanEmbeddings(self.means)

    def averaging(self, strides: Sequence[int], average: int) -> Averaging:
        return Averaging(tuple(averaged_cells(average, stride) for stride in strides))

    def shrunk(self, layout: Layout, room: Room) -> tuple[KMeans, int, str]:
        """Keeps fewer means."""
        descriptor = sum(row_bytes(level, layout.dtype) for level in layout.levels)
        means = min(self.means, int(room.most / (descriptor + room.embedding)))
        return type(self)(max(1, means)), means, f"{means} means"

    def writer(self, building: Building) -> Writer:
        def write(drawn: np.ndarray) -> int:
            means = min(self.means, len(drawn))
            centres = building.centres.of_descriptors(drawn, means, building.seed)
            write_parts(building.folder, building.layout.levels, centres, building.layout.dtype)
            return means

        return DescriptorWriter(building, MOST_DRAWN, write)

    def fields(self, average: int) -> dict[str, Any]:
        return {}

    @staticmethod
    def files(levels: Sequence[Level]) -> set[str]:
        return level_files(levels)

    @staticmethod
    def check(manifest: Manifest, where: str) -> None:
        pass

    @staticmethod
    def open(bundle: Bundle, options: SearchOptions) -> Gallery:
        return FlatGallery(mean_arrays(bundle), grid_of(bundle), options.threads)


class FlatGallery:
    """The nearest of M stored descriptors. Each level's share is computed once a cell of that level."""

    needs_neighbors = False

    def __init__(self, descriptors: Sequence[kernel.Rows], grid: tuple[int, int], threads: int) -> None:
        self._search = kernel.MeanSearch(list(descriptors), grid, threads=threads)

    def search(self, query: Query) -> Found:
        squared, _ = self._search.nearest(list(query.levels), query.active_cells)
        return Found(squared)
