"""Names of the files that hold a gallery, joint descriptors and nested order; shared by reader and writer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from panda_edge.bundle.manifest import Level

JOINT_HNSW_FILE = "bank/joint.hnsw"


def level_file(level: Level) -> str:
    """The bundle file that holds a level's features."""
    return f"bank/stride{level.stride:02d}.npy"


def scales_file(level: Level) -> str:
    """The bundle file that holds the offset and scale of each row, where a level is kept as bytes."""
    return f"bank/stride{level.stride:02d}_rows.npy"


def joint_descriptors(levels: Sequence[np.ndarray]) -> np.ndarray:
    """The joint descriptor of each finest cell, float32 (cells, all channels): coarse features over their children.

    levels: of one image, coarse first, each (cells, channels) in nested order, which the result keeps.
    """
    finest = len(levels[-1])
    return np.concatenate([np.repeat(level, finest // len(level), axis=0) for level in levels], axis=1)


def raster_order(grid: tuple[int, int], depth: int) -> np.ndarray:
    """Where each cell of a raster lies in nested order: int64 (height·2^depth, width·2^depth)."""
    order = np.arange(grid[0] * grid[1]).reshape(grid)
    for _ in range(depth):
        finer = np.empty((2 * order.shape[0], 2 * order.shape[1]), dtype=np.int64)
        for row in (0, 1):
            for column in (0, 1):
                finer[row::2, column::2] = 4 * order + 2 * row + column
        order = finer
    return order


def unnest(values: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Values of the finest cells, (cells,) in nested order → (height, width). grid: of the coarsest level."""
    depth = (len(values) // (grid[0] * grid[1])).bit_length() // 2  # 4^depth cells for each coarsest one
    raster: np.ndarray = values[raster_order(grid, depth)]
    return raster
