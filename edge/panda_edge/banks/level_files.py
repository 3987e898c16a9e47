"""The files that hold levels, joint descriptors and nested order; shared by reader and writer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from panda_edge import kernel
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Level

_SCALES = {"uint8": 8}  # bytes of a row's offset and scale


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


def level_files(levels: Sequence[Level]) -> set[str]:
    return {name(level) for level in levels for name in (level_file, scales_file)}


def level_arrays(bundle: Bundle, shapes: Sequence[tuple[int, ...]]) -> list[kernel.Rows]:
    """What is stored of each level. shapes: of an entry, with the channels last. Raises BundleError."""
    count, dtype = bundle.manifest.segmentation.count, bundle.manifest.segmentation.dtype
    stored: list[kernel.Rows] = []
    for level, shape in zip(bundle.manifest.levels, shapes, strict=True):
        rows = bundle.array(level_file(level), (count, *shape), dtype)
        if dtype == "uint8":
            scales = bundle.array(scales_file(level), (count, *shape[:-1], 2), "float32")
            stored.append((rows, scales))
        else:
            stored.append(rows)
    return stored


def mean_arrays(bundle: Bundle) -> list[kernel.Rows]:
    """What is stored of each level where an entry is one descriptor. Raises BundleError."""
    return level_arrays(bundle, [(level.channels,) for level in bundle.manifest.levels])


def stored_rows(rows: np.ndarray, dtype: str) -> tuple[np.ndarray, ...]:
    """What the level file holds of these rows, and the file of their scales where there is one."""
    return kernel.quantise_rows(rows) if dtype == "uint8" else (np.ascontiguousarray(rows, dtype=dtype),)


def write_parts(folder: Path, levels: Sequence[Level], descriptors: np.ndarray, dtype: str) -> None:
    """Write joint descriptors (M, channels of these levels), a file a level, two where it is of bytes."""
    ends = np.cumsum([level.channels for level in levels])[:-1]
    for level, part in zip(levels, np.split(descriptors, ends, axis=1), strict=True):
        for name, values in zip((level_file, scales_file), stored_rows(part, dtype), strict=False):
            np.save(folder / name(level), values, allow_pickle=False)


def row_bytes(level: Level, dtype: str) -> int:
    """Bytes of one cell of a level."""
    return level.channels * np.dtype(dtype).itemsize + _SCALES.get(dtype, 0)


def averaged_cells(average: int, stride: int) -> int:
    """The odd number of a level's cells nearest to `average` stride-8 cells."""
    return max(1, 2 * round((average * 8 / stride - 1) / 2) + 1)


def grid_of(bundle: Bundle) -> tuple[int, int]:
    """(height, width) of the coarsest level."""
    coarsest = bundle.manifest.levels[0]
    return coarsest.height, coarsest.width
