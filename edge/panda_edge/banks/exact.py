"""The pyramids of all normal images (SPADE; PANDA §2.3)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from panda_edge import kernel
from panda_edge.banks.bank import Averaging, Building, Layout, Room, SearchOptions, Traits
from panda_edge.banks.embeddings import EMBEDDING_KINDS, EmbeddingKind, ExactEmbeddings, image_embeddings
from panda_edge.banks.level_files import (
    averaged_cells,
    grid_of,
    level_arrays,
    level_file,
    level_files,
    row_bytes,
    scales_file,
    stored_rows,
)
from panda_edge.banks.query import Found, Query
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import COMPARE, MAX_WINDOW, Level, Manifest
from panda_edge.bundle.model import Features, default_threads
from panda_edge.bundle.space import reserved_array
from panda_edge.errors import BundleError, PandaError
from panda_edge.whole_file import whole_file

PICTURES_FILE = "bank/pictures.npy"
"""int32 (pictures, 2): width and height of each stored picture."""


@dataclass(frozen=True)
class Exact:
    """Every normal frame's pyramid is kept, and searched in those of the most similar frames.

    Attributes:
        compare: Which normal tiles a tile is compared with: one of `COMPARE`; `auto` lets normal pictures decide.
        window: How many cells of the coarsest level away from its own place a position is compared; None for
            everywhere.
    """

    name: ClassVar[str] = "exact"
    traits: ClassVar[Traits] = Traits(stores_frames=True, takes_copies=True, extend_files=(PICTURES_FILE,))

    compare: str = "auto"
    window: int | None = None

    def __post_init__(self) -> None:
        if self.compare not in ("auto", *COMPARE):
            raise PandaError(f"unknown --compare {self.compare!r}; expected one of auto, {', '.join(COMPARE)}")
        if self.window is not None and not 0 <= self.window <= MAX_WINDOW:
            raise PandaError(f"--window {self.window}: expected 0 to {MAX_WINDOW} cells")

    @property
    def by_place(self) -> bool:
        return self.compare in ("near", "place")

    def embeddings(self, asked: str, images: int) -> EmbeddingKind:
        if not self.by_place:
            return image_embeddings(asked, images)
        if asked not in ("auto", ExactEmbeddings.name):
            raise PandaError(f"--compare {self.compare}: needs --bank exact, got {asked}; leave one of them out")
        return ExactEmbeddings()

    def averaging(self, strides: Sequence[int], average: int) -> Averaging:
        return Averaging(tuple(averaged_cells(average, stride) for stride in strides))

    def shrunk(self, layout: Layout, room: Room) -> tuple[Exact, int, str]:
        """Keeps fewer images."""
        pyramid = sum(level.height * level.width * row_bytes(level, layout.dtype) for level in layout.levels)
        kept = min(room.images, int(room.most / (pyramid + layout.beside + room.embedding)))
        return self, kept, f"{kept} of {room.images}"

    def writer(self, building: Building) -> PyramidWriter:
        folder, layout, there = building.folder, building.layout, building.there
        if there is None:
            return PyramidWriter(folder, layout.levels, layout.dtype)
        for name in self.files(layout.levels) & there.manifest.files.keys() - {PICTURES_FILE}:
            shutil.copyfile(there.checked_file(name), folder / name)
        stored = there.manifest.segmentation.count
        if building.kept is not None:
            keep_images(folder, layout.levels, building.kept)
            stored = len(building.kept)
        return PyramidWriter(folder, layout.levels, layout.dtype, stored)

    def fields(self, average: int) -> dict[str, Any]:
        return {"window": self.window}

    @staticmethod
    def files(levels: Sequence[Level]) -> set[str]:
        return {*level_files(levels), PICTURES_FILE}

    @staticmethod
    def check(manifest: Manifest, where: str) -> None:
        found, maps = manifest.detection, manifest.segmentation
        # The detection bank's numbers are the gallery's images.
        if not EMBEDDING_KINDS[found.bank].of_images or found.count != maps.count:
            raise BundleError(
                f"{where}: count is {maps.count} images beside {found.count} of a {found.bank} detection "
                "bank; expected the same images in both"
            )

    @staticmethod
    def open(bundle: Bundle, options: SearchOptions) -> PyramidGallery:
        window = bundle.manifest.segmentation.window
        return PyramidGallery(stored_frames(bundle), grid_of(bundle), options.threads, options.epsilon, window)


class PyramidGallery:
    """The nearest position among the K most similar images, found exactly, or within a factor 1 + epsilon.

    window: how many coarsest cells away from its own place a position is looked for; None for everywhere.
    """

    needs_neighbors = True

    def __init__(
        self,
        levels: Sequence[kernel.Rows],
        grid: tuple[int, int],
        threads: int,
        epsilon: float,
        window: int | None = None,
    ) -> None:
        self._search = kernel.PyramidSearch(list(levels), grid, threads=threads)
        self._epsilon = epsilon
        self._window = window

    def search(self, query: Query) -> Found:
        """See `Gallery.search`."""
        # Less a little, so that what is near enough is so after rounding, too.
        nearer = query.enough * query.enough * (1 - 1e-5) if query.enough > 0 else 0.0
        return Found(
            *self._search.nearest(
                list(query.levels), query.neighbors, self._epsilon, query.active_cells, self._window, nearer
            )
        )


def stored_frames(bundle: Bundle) -> list[kernel.Rows]:
    """What an exact gallery holds of each level, coarse first: (N, cells, channels)."""
    return level_arrays(bundle, [(level.height * level.width, level.channels) for level in bundle.manifest.levels])


def frame_levels(stored: Sequence[kernel.Rows], number: int) -> list[np.ndarray]:
    """One frame of `stored_frames`: each level float32 (cells, channels), coarse first, in nested order."""
    found = []
    for level in stored:
        if isinstance(level, tuple):
            rows, scales = level[0][number], level[1][number]
            found.append(scales[:, :1] + scales[:, 1:] * rows.astype(np.float32))
        else:
            found.append(level[number].astype(np.float32))
    return found


class PyramidWriter:
    """The pyramids of all normal images, appended as they come: one .npy array a level, two where it is of bytes."""

    def __init__(self, folder: Path, levels: Sequence[Level], dtype: str, there: int = 0) -> None:
        """there: how many the files below `folder` hold already; 0 to begin them."""
        self._dtype = dtype
        self._levels = [
            [_Appended(folder / level_file(level), dtype, _shape(level, level.channels), there)] for level in levels
        ]
        if dtype == "uint8":
            for level, arrays in zip(levels, self._levels, strict=True):
                arrays.append(_Appended(folder / scales_file(level), "float32", _shape(level, 2), there))
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


def representative_images(embeddings: np.ndarray, images: int) -> np.ndarray:
    """Numbers, ascending, of the images whose embeddings cover all others best (greedy k-centre)."""
    if images >= len(embeddings):
        return np.arange(len(embeddings))
    return np.sort(kernel.k_centre(embeddings, images, threads=default_threads()))


def keep_images(folder: Path, levels: Sequence[Level], kept: np.ndarray) -> None:
    """Cut the level files of an exact gallery down to these images."""
    for path in (folder / name(level) for level in levels for name in (level_file, scales_file)):
        if not path.exists():  # scales, of levels that are not bytes
            continue
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
        if len(stored) == len(kept):
            continue
        with whole_file(path) as smaller:
            target = reserved_array(smaller, stored.dtype, (len(kept), *stored.shape[1:]))
            for row, number in enumerate(kept):
                target[row] = stored[number]
            target.flush()
            del stored, target
