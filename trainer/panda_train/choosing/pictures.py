"""The pictures that candidates are judged by: normal ones held out, and copies of them with defects painted in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from panda_edge.errors import DataError, ImageError
from panda_edge.images.reading import open_image
from panda_edge.printable import printable
from panda_train.choosing.paint import FAMILIES, families, paint, spans_of
from panda_train.choosing.trial import Shown

_MOST_HELD_OUT = 100
_MOST_PIXELS = 400_000_000  # of all pictures that are held in memory, 3 bytes each


@dataclass(frozen=True)
class Judged:
    """normal: held out. painted: families in turn, so that the first n have all of them. size: (width, height) in
    pixels of the first normal picture."""

    normal: list[Shown]
    painted: list[Shown]
    size: tuple[int, int]

    def some(self, count: int, painted: int) -> list[Shown]:
        """At most `count` normal pictures, and so many painted ones."""
        return self.normal[:count] + self.painted[:painted]


def judged(
    held_out: Sequence[Path],
    smallest_defect: float | None,
    painted: int,
    seed: int,
    largest_defect: float | None = None,
    white: int | None = None,
) -> Judged:
    """Decode held-out pictures and paint into copies of them. painted: how many; the defects: see `spans_of`.
    white: see `open_image`.

    Raises DataError where fewer than two can be read.
    """
    pictures: list[np.ndarray] = []
    for path in held_out[:_MOST_HELD_OUT]:
        try:
            pictures.append(np.asarray(open_image(path, white=white).image))
        except ImageError as error:
            print(f"left out: {printable(error)}", file=sys.stderr)
        if sum(picture.shape[0] * picture.shape[1] for picture in pictures) > _MOST_PIXELS:
            break
    if len(pictures) < 2:
        raise DataError(f"{len(pictures)} of {len(held_out)} held-out pictures can be read; choosing needs at least 2")
    rng = np.random.default_rng(seed)
    shown = []
    for i, family in enumerate(families(list(FAMILIES), painted)):
        # Of several families on one picture, one after the other; another picture to cut from each time.
        number = i % len(pictures)
        other = (number + 1 + (i // len(pictures)) % (len(pictures) - 1)) % len(pictures)
        height, width = pictures[number].shape[:2]
        spans = spans_of((width, height), smallest_defect, largest_defect)
        done = paint(family, pictures[number], pictures[other], spans, rng)
        shown.append(Shown(done.image, family, done.mask))
    height, width = pictures[0].shape[:2]
    return Judged([Shown(picture) for picture in pictures], shown, (width, height))
