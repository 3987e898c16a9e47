"""Normal pictures on their way to the model: each is decoded once, and what several steps need is kept in a file."""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from panda_edge.builder.spread import evenly_spread
from panda_edge.builder.turned import turned
from panda_edge.bundle.recipe import AUGMENTS
from panda_edge.bundle.space import temporary_room
from panda_edge.errors import DataError, ImageError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.reading import image_size
from panda_edge.images.tiling import Tiling
from panda_edge.images.view import View
from panda_edge.printable import printable
from panda_edge.system import read_at, write_at

_READERS = 4  # Pillow releases the interpreter while it decodes
_AHEAD = 32  # pictures that are decoded before they are asked for; of large ones, which are cut, _READERS


def every_frame(view: View) -> Sequence[int]:
    """Numbers of all frames of a view."""
    return range(view.count)


@dataclass(frozen=True)
class Picture:
    """A normal picture: its number among those given, and its canvas, uint8 (H, W, 3), of which `view` makes frames."""

    number: int
    view: View
    canvas: np.ndarray

    @property
    def frames(self) -> np.ndarray:
        """uint8 (T, height, width, 3)."""
        return self.view.frames(self.canvas)


def none_readable(count: int) -> DataError:
    return DataError(f"none of the {count} normal images can be read; see the lines above")


class Pictures:
    """Normal pictures by their number. Those that cannot be read are named on stderr, once, and left out.

    augment: one of AUGMENTS. Of n copies of each picture, numbers i · n to i · n + n − 1 are those of the i-th, itself
    first.
    """

    def __init__(self, paths: Sequence[Path], preprocessing: Preprocessing, augment: str = "none") -> None:
        self.preprocessing = preprocessing
        self.augment = augment
        self.copies = AUGMENTS[augment]
        self._paths = paths
        self._unreadable: set[int] = set()
        self._kept_numbers: set[int] = set()
        self._kept: dict[int, tuple[int, View]] = {}
        # Its name is gone at once, its space with this object, or with the process, however it ends.
        with temporary_room(), tempfile.TemporaryFile(prefix="panda-pictures-") as unnamed:
            self._file = os.dup(unnamed.fileno())
        weakref.finalize(self, os.close, self._file)
        self._written = 0

    def __len__(self) -> int:
        """How many were given, with the copies of each."""
        return len(self._paths) * self.copies

    def spread(self, count: int) -> list[int]:
        """Numbers of at most `count` pictures, as they are, spread evenly over all."""
        return [n * self.copies for n in evenly_spread(len(self._paths), count).tolist()]

    def keep(self, numbers: Iterable[int]) -> None:
        """Keep these pictures decoded once they have been read, as they will be read again."""
        self._kept_numbers.update(numbers)

    def read(self, numbers: Iterable[int] | None = None) -> Iterator[Picture]:
        """The pictures of these numbers, or all, that can be read. Raises DataError after the last where none can."""
        wanted = list(range(len(self)) if numbers is None else numbers)
        found = 0
        for picture in self.each(wanted):
            if picture is not None:
                found += 1
                yield picture
        if not found:
            raise none_readable(len(wanted))

    def each(self, wanted: Iterable[int]) -> Iterator[Picture | None]:
        """The picture of each number, None where it cannot be read."""
        ahead = _READERS if self.preprocessing.tiles is not None else _AHEAD
        with ThreadPoolExecutor(_READERS) as readers:
            remaining = iter(wanted)
            while chunk := list(islice(remaining, ahead)):
                for number, picture in zip(chunk, readers.map(self._decoded, chunk), strict=True):
                    if isinstance(picture, ImageError):
                        self._report(number, picture)
                        yield None
                        continue
                    self._store(picture)
                    yield picture

    def frame_count(
        self, wanted: Sequence[int] | None = None, numbers: Callable[[View], Sequence[int]] = every_frame
    ) -> int:
        """Those frames of the wanted pictures together, or of all, by their files' headers."""
        wanted = range(len(self)) if wanted is None else wanted
        if self.preprocessing.tiles is None:
            return len(wanted)
        total = 0
        for number in wanted:
            size = self._sizes[number // self.copies]
            with suppress(ImageError):  # `read` will name it
                total += 0 if size is None else len(numbers(self.preprocessing.view(size)))
        return total

    def first(self) -> Picture:
        """The first picture that can be read. Raises DataError."""
        for number in range(0, len(self), self.copies):
            self.keep([number])
            for picture in self.each([number]):
                if picture is not None:
                    return picture
        raise none_readable(len(self))

    def of_one_size(self) -> bool:
        """Whether all are, by their files' headers."""
        return len({size for size in self._sizes if size is not None}) == 1

    @cached_property
    def _sizes(self) -> list[tuple[int, int] | None]:
        """(width, height) of each path; None where its header cannot be read."""
        sizes: list[tuple[int, int] | None] = []
        for path in self._paths:
            try:
                sizes.append(image_size(path))
            except ImageError:  # `read` will name it
                sizes.append(None)
        return sizes

    def with_same_tiles(self) -> Preprocessing:
        """The preprocessing that gives every picture the tiles which the first one has, whatever its size."""
        tiles = self.preprocessing.tiles
        if tiles is None or tiles.scale is None:
            return self.preprocessing
        width, height = self.first().view.scaled
        return dataclasses.replace(self.preprocessing, tiles=Tiling(tiles.overlap, None, height, width))

    def _decoded(self, number: int) -> Picture | ImageError:
        if number in self._kept:
            offset, view = self._kept[number]
            height, width = view.canvas
            stored = np.frombuffer(read_at(self._file, height * width * 3, offset), np.uint8)
            return Picture(number, view, stored.reshape(height, width, 3))
        try:
            image, view = self.preprocessing.open(self._paths[number // self.copies])
        except ImageError as error:
            return error
        image = turned(image, self.augment, number % self.copies)
        return Picture(number, view, self.preprocessing.canvas(image, view))

    def _store(self, picture: Picture) -> None:
        if picture.number not in self._kept_numbers or picture.number in self._kept:
            return
        with temporary_room():
            write_at(self._file, np.ascontiguousarray(picture.canvas).data.cast("B"), self._written)
        self._kept[picture.number] = self._written, picture.view
        self._written += picture.canvas.size

    def _report(self, number: int, error: ImageError) -> None:
        if number // self.copies not in self._unreadable:
            self._unreadable.add(number // self.copies)
            print(f"left out: {printable(error)}", file=sys.stderr)
