"""What the files of normal pictures say of them together: which value is white, and whether they lie alike."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from panda_edge.errors import ImageError
from panda_edge.images.depth import white_above
from panda_edge.images.reading import image_header, largest_value


@dataclass(frozen=True)
class Headers:
    """white: of pictures of more than 8 bits that do not say it themselves, None where there is none of these.
    pictures: how many can be read; upright: those that are higher than wide; lying: wider than high. middle: (width,
    height) of the picture whose aspect ratio is in the middle, a square where some are upright and some lie."""

    white: int | None
    pictures: int
    upright: int
    lying: int
    middle: tuple[int, int]

    def lines(self) -> list[str]:
        """What a user should know of them."""
        if not self.upright or not self.lying:
            return []
        return [
            f"warning: {self.upright} of {self.pictures} pictures are higher than wide and {self.lying} wider than "
            "high; turn them alike, as each is brought to one shape"
        ]


def headers_of(images: Sequence[Path]) -> Headers:
    """Read the headers of all images, and the values of those that are deep; what cannot be read does not count."""
    return _headers(tuple(images))


@lru_cache(maxsize=4)  # `choose` asks for each of its candidates
def _headers(images: tuple[Path, ...]) -> Headers:
    top, sizes = 0, []
    for path in images:
        with suppress(ImageError):  # the features' step will name it
            header = image_header(path)
            sizes.append(header.size)
            if header.deep:
                top = max(top, white_above(largest_value(path)))
    upright = sum(height > width for width, height in sizes)
    lying = sum(width > height for width, height in sizes)
    sizes.sort(key=lambda size: size[0] / size[1])
    middle = (1, 1) if not sizes or (upright and lying) else sizes[len(sizes) // 2]
    return Headers(top or None, len(sizes), upright, lying, middle)
