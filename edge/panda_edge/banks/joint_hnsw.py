"""Joint descriptors in hnswlib's graph: approximate, for comparison with the exact search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from panda_edge.banks.embedding import HnswBank
from panda_edge.banks.level_files import joint_descriptors


class JointHnswGallery:
    needs_neighbors = False

    def __init__(self, path: Path, count: int, size: int, ef: int, grid: tuple[int, int], threads: int) -> None:
        self._index = HnswBank(path, count, size, ef, threads)
        self._grid = grid

    def distances(self, levels: Sequence[np.ndarray], neighbors: np.ndarray | None) -> np.ndarray:
        squared, _ = self._index.nearest(joint_descriptors(levels), 1)
        return unnest(squared[:, 0], self._grid)


def unnest(values: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Values of the finest cells, (cells,) in nested order → (height, width). grid: of the coarsest level."""
    height, width = grid
    depth = (len(values) // (height * width)).bit_length() // 2
    # Axes: coarse row, coarse column, then a (row, column) pair for each halving.
    split = values.reshape(height, width, *[2] * (2 * depth))
    rows, columns = range(0, 2 + 2 * depth, 2), range(1, 2 + 2 * depth, 2)
    return np.ascontiguousarray(split.transpose(*rows, *columns).reshape(height << depth, width << depth))
