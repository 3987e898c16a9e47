"""The pyramids of all normal images, written as they come, and cut down to the most representative ones."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from panda_edge.builder.space import reserved_array
from panda_edge.bundle.manifest import Level
from panda_edge.bundle.model import Features, default_threads
from panda_edge.search import kernel
from panda_edge.search.level_files import level_file, scales_file


class PyramidWriter:
    """The pyramids of all normal images, appended as they come: one .npy array a level, two where it is of bytes."""

    def __init__(self, bundle: Path, levels: Sequence[Level], dtype: str, there: int = 0) -> None:
        """there: how many the files below `bundle` hold already; 0 to begin them."""
        self._dtype = dtype
        self._levels = [
            [_Appended(bundle / level_file(level), dtype, _shape(level, level.channels), there)] for level in levels
        ]
        if dtype == "uint8":
            for level, arrays in zip(levels, self._levels, strict=True):
                arrays.append(_Appended(bundle / scales_file(level), "float32", _shape(level, 2), there))
        self._written = there

    def add(self, features: Features, numbers: Sequence[int] = ()) -> None:
        self._written += len(features.embedding)
        for arrays, level in zip(self._levels, features.levels, strict=True):
            for array, values in zip(arrays, stored_rows(level, self._dtype), strict=True):
                array.append(values)

    def close(self) -> int:
        for arrays in self._levels:
            for array in arrays:
                array.write_header(self._written)
        return self._written


class _Appended:
    """An .npy array that grows along its first axis. shape: of an entry."""

    def __init__(self, file: Path, dtype: str, shape: tuple[int, ...], there: int) -> None:
        self._file, self._dtype, self._shape = file, np.dtype(dtype), shape
        if not there:
            file.touch()
            self.write_header(0)

    def append(self, values: np.ndarray) -> None:
        with self._file.open("ab") as stream:
            stream.write(np.ascontiguousarray(values, dtype=self._dtype).data)

    def write_header(self, entries: int) -> None:
        # numpy leaves room in the header for the first axis to grow, so that writing it again keeps its length.
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (entries, *self._shape)}
        with self._file.open("r+b") as stream:
            np.lib.format.write_array_header_1_0(stream, header)


def _shape(level: Level, values: int) -> tuple[int, int]:
    return level.height * level.width, values


def stored_rows(rows: np.ndarray, dtype: str) -> tuple[np.ndarray, ...]:
    """What the level file holds of these rows, and the file of their scales where there is one."""
    return kernel.quantise_rows(rows) if dtype == "uint8" else (np.ascontiguousarray(rows, dtype=dtype),)


def representative_images(embeddings: np.ndarray, images: int) -> np.ndarray:
    """Numbers, ascending, of the images whose embeddings cover all others best (greedy k-centre)."""
    if images >= len(embeddings):
        return np.arange(len(embeddings))
    return np.sort(kernel.k_centre(embeddings, images, threads=default_threads()))


def keep_images(bundle: Path, levels: Sequence[Level], kept: np.ndarray) -> None:
    """Cut the level files of an exact gallery down to these images."""
    for path in (bundle / name(level) for level in levels for name in (level_file, scales_file)):
        if not path.exists():  # scales, of levels that are not bytes
            continue
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
        if len(stored) == len(kept):
            continue
        smaller = path.with_suffix(".kept.npy")
        target = reserved_array(smaller, stored.dtype, (len(kept), *stored.shape[1:]))
        for row, number in enumerate(kept):
            target[row] = stored[number]
        target.flush()
        del stored, target
        os.replace(smaller, path)
