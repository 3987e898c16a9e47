"""Cutting a picture into tiles: how many, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from panda_edge.errors import ImageError, PandaError

ALIGNED = 16  # pixels: tiles begin at multiples, so that the cells of overlapping tiles lie on one another
MAX_TILES = 4096  # of one picture
MAX_OVERLAP = 0.75
MAX_SIDE = 1 << 20  # pixels of a scaled picture
DEFAULT_OVERLAP = 1 / 4  # where a scale decides how many tiles there are
GRID_OVERLAP = 1 / 16  # where their number is given: more would show less of the picture's own pixels
MIN_SCALE, MAX_SCALE = 1 / 64, 8.0


@dataclass(frozen=True)
class Tiling:
    """How pictures are cut. Exactly one of scale and (height, width) is given.

    overlap: the least share of a tile's side that neighbours share. scale: frame pixels a picture pixel, so that
    larger pictures get more tiles. height, width: of what every picture is scaled to, so that all get the same tiles.
    """

    overlap: float = DEFAULT_OVERLAP
    scale: float | None = None
    height: int | None = None
    width: int | None = None

    @classmethod
    def grid(cls, rows: int, columns: int, height: int, width: int, overlap: float = GRID_OVERLAP) -> Tiling:
        """The same rows × columns tiles of height × width pixels for every picture. Raises PandaError."""
        if not (rows >= 1 and columns >= 1 and rows * columns <= MAX_TILES):
            raise PandaError(f"{rows}×{columns} tiles: expected at least one, and at most {MAX_TILES} a picture")
        return cls(overlap, None, _covered(rows, height, overlap), _covered(columns, width, overlap))

    def scaled(self, picture: tuple[int, int]) -> tuple[int, int]:
        """(width, height) in frame pixels that a picture of (width, height) pixels is scaled to."""
        if self.width is not None and self.height is not None:
            return self.width, self.height
        assert self.scale is not None
        return max(1, round(picture[0] * self.scale)), max(1, round(picture[1] * self.scale))

    def starts(self, length: int, side: int) -> tuple[int, ...]:
        """Where tiles of `side` pixels begin along an axis of `length` pixels: spread evenly, the last one ends at the
        axis' end, rounded up to a multiple of ALIGNED."""
        shared = self.overlap * side
        count = max(1, int(np.ceil((length - shared) / (side - shared) - 1e-9)))
        steps = (padded(length, side) - side) // ALIGNED
        return tuple(int(start) for start in np.rint(np.linspace(0, steps, count)).astype(int) * ALIGNED)

    def check(self, picture: tuple[int, int], scaled: tuple[int, int], side: tuple[int, int], most_pixels: int) -> None:
        """Raise ImageError where a picture cannot be cut. side: (height, width) of a tile."""
        width, height = scaled
        name = f"{picture[0]}×{picture[1]} pixels" + ("" if picture == scaled else f", scaled to {width}×{height},")
        if width < side[1] or height < side[0]:
            raise ImageError(f"{name} is smaller than a tile of {side[1]}×{side[0]}; fit for such pictures")
        if width * height > most_pixels:
            raise ImageError(f"{name} is more than {most_pixels // 10**6} megapixels; fit with a smaller --scale")
        tiles = len(self.starts(height, side[0])) * len(self.starts(width, side[1]))
        if tiles > MAX_TILES:
            raise ImageError(f"{name} gives {tiles} tiles, at most {MAX_TILES} are allowed; fit with a smaller --scale")


def padded(length: int, side: int) -> int:
    """The length of an axis that is covered by whole cells and at least one tile."""
    return max(side, -(-length // ALIGNED) * ALIGNED)


def _covered(count: int, side: int, overlap: float) -> int:
    """The length, a multiple of ALIGNED, that so many tiles cover."""
    return int((side + (count - 1) * side * (1 - overlap)) // ALIGNED) * ALIGNED
