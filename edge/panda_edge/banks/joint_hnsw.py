"""Joint descriptors in hnswlib's graph: approximate, for comparison with the exact search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from panda_edge.banks.bank import Averaging, Building, Layout, OfDescriptors, Room, SearchOptions, Traits
from panda_edge.banks.embeddings import GRAPH_BYTES, HnswBank, write_hnsw
from panda_edge.banks.level_files import averaged_cells, grid_of, joint_descriptors, unnest
from panda_edge.banks.query import Found, Query
from panda_edge.banks.samples import DescriptorWriter
from panda_edge.bundle.fields import whole
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import MAX_EF, Level, Manifest

JOINT_HNSW_FILE = "bank/joint.hnsw"
_EF = 64


@dataclass(frozen=True)
class JointHnsw(OfDescriptors):
    """A random choice of joint descriptors is kept."""

    name: ClassVar[str] = "hnsw"
    traits: ClassVar[Traits] = Traits(dtypes=("float16", "float32"), keeps_dtype=False)

    def averaging(self, strides: Sequence[int], average: int) -> Averaging:
        return Averaging(tuple(averaged_cells(average, stride) for stride in strides))

    def shrunk(self, layout: Layout, room: Room) -> tuple[JointHnsw, int, str]:
        """Keeps fewer descriptors."""
        each = 4 * sum(level.channels for level in layout.levels) + GRAPH_BYTES
        vectors = min(self.vectors, int((room.most - room.images * room.embedding) / each))
        return replace(self, vectors=max(1, vectors)), vectors, f"{vectors} descriptors"

    def writer(self, building: Building) -> DescriptorWriter:
        def write(drawn: np.ndarray) -> int:
            write_hnsw(building.folder / JOINT_HNSW_FILE, drawn.astype(np.float32), building.seed)
            return len(drawn)

        return DescriptorWriter(building, self.vectors, write)

    def fields(self, average: int) -> dict[str, Any]:
        return {"ef": _EF}

    @staticmethod
    def files(levels: Sequence[Level]) -> set[str]:
        return {JOINT_HNSW_FILE}

    @staticmethod
    def check(manifest: Manifest, where: str) -> None:
        whole(1, MAX_EF)(manifest.segmentation.ef, f"{where}: ef")

    @staticmethod
    def open(bundle: Bundle, options: SearchOptions) -> JointHnswGallery:
        maps = bundle.manifest.segmentation
        assert maps.ef is not None  # checked before
        size = sum(level.channels for level in bundle.manifest.levels)
        index = HnswBank(bundle.checked_file(JOINT_HNSW_FILE), maps.count, size, maps.ef, options.threads)
        return JointHnswGallery(index, grid_of(bundle))


class JointHnswGallery:
    needs_neighbors = False

    def __init__(self, index: HnswBank, grid: tuple[int, int]) -> None:
        self._index, self._grid = index, grid

    def search(self, query: Query) -> Found:
        descriptors = joint_descriptors(query.levels)
        cells = np.ones(len(descriptors), dtype=bool)
        if query.active_cells is not None:
            cells = query.active_cells.ravel().repeat(len(descriptors) // query.active_cells.size)
        squared = np.zeros(len(descriptors), np.float32)
        squared[cells] = self._index.nearest(descriptors[cells], 1)[0][:, 0]
        return Found(unnest(squared, self._grid))
