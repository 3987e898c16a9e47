"""Whether turned copies of the normal pictures go into the bank: normal pictures alone decide."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from panda_edge import kernel
from panda_edge.builder.pictures import Pictures
from panda_edge.builder.spread import evenly_spread
from panda_edge.bundle.model import default_threads
from panda_edge.bundle.recipe import AUGMENTS
from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.search.picture import FeatureFunction
from panda_export.network import Network

CHOICES = ("auto", *AUGMENTS)
MOST = 32  # pictures: more hold parts at most angles themselves, and copies of them would be a large bank
_ASKED = 8  # pictures that are left out in turn
_MARGIN = 0.9  # of the distance to upright pictures: from there on copies are taken


def augmented(asked: str, images: Sequence[Path], preprocessing: Preprocessing, helps: bool, network: Network) -> str:
    """One of AUGMENTS for --augment `asked`; what `auto` finds is said on stderr. helps: whether copies can make the
    bank better.

    The rule of `auto`: each of some pictures is left out in turn, and its cells are searched in the other pictures,
    once as they are and once with 12 copies of each. `rotate` where the copies make the mean distance at least a tenth
    smaller, of 2 to 32 whole pictures of a bank that they can help; else `none`. Raises PandaError.
    """
    if asked not in CHOICES:
        raise PandaError(f"unknown --augment {asked!r}; expected one of {', '.join(CHOICES)}")
    whole = preprocessing.tiles is None and preprocessing.rois is None
    if asked in ("rotate", "flip") and not whole:
        raise PandaError(f"--augment {asked}: expected whole pictures, got tiles or a roi; leave one of them out")
    if asked != "auto":
        return asked
    if not (whole and helps and 2 <= len(images) <= MOST):
        return "none"
    coarsest = network.levels[0]
    share = turned_share(images, preprocessing, (coarsest.height, coarsest.width), network.run)
    found = "rotate" if share <= _MARGIN else "none"
    print(
        f"--augment auto: {found}; turned copies change a left-out picture's distance by {100 * (share - 1):+.0f} %, "
        f"and are taken from {100 * (_MARGIN - 1):+.0f} % on",
        file=sys.stderr,
    )
    return found


def turned_share(
    images: Sequence[Path], preprocessing: Preprocessing, grid: tuple[int, int], run: FeatureFunction
) -> float:
    """What turned copies leave of the mean distance of left-out pictures to the others; 1 where they do not help.

    grid: (height, width) of the coarsest level.
    """
    pictures = Pictures(images, preprocessing, "rotate")
    numbers, stored = _levels(pictures, run)
    sources, upright = numbers // pictures.copies, numbers % pictures.copies == 0
    search = kernel.PyramidSearch(stored, grid, default_threads())
    before, after = [], []
    for row in np.flatnonzero(upright)[evenly_spread(upright.sum(), _ASKED)]:
        others = sources != sources[row]
        if not (others & upright).any():
            return 1.0
        query = [level[row].astype(np.float32) for level in stored]
        alone, copies = (
            np.sqrt(search.nearest(query, np.flatnonzero(others & which))[0]) for which in (upright, ~upright)
        )
        before.append(alone.mean())
        after.append(np.minimum(alone, copies).mean())
    return float(np.sum(after) / np.sum(before)) if np.sum(before) > 0 else 1.0


def _levels(pictures: Pictures, run: FeatureFunction) -> tuple[np.ndarray, list[np.ndarray]]:
    """Numbers of all copies that can be read, and of each level but the finest float16 (N, cells, channels)."""
    numbers: list[int] = []
    found: list[list[np.ndarray]] = []
    for picture in pictures.read():
        levels = run(picture.frames).levels
        numbers.append(picture.number)
        found.append([level[0].astype(np.float16) for level in levels[: max(1, len(levels) - 1)]])
    return np.array(numbers), [np.stack(level) for level in zip(*found, strict=True)]
