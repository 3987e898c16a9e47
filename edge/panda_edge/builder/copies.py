"""Pictures that are copies of others: the same picture under another name, in another format, or nearly so.

A normal picture is scored without itself to calibrate. Where a copy of it stays in the bank, its score is near 0, and
other good pictures then count as anomalous. So every picture is taken once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from panda_edge.builder.progress import Progress, silent
from panda_edge.builder.spread import evenly_spread
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.npy import read_header
from panda_edge.errors import BundleError, ImageError
from panda_edge.images.reading import open_image, to_rgb

LOOKS_FILE = "extend/looks.npy"
"""float16 (pictures, `LOOK_SIZE`): the looks of all normal pictures that a bundle has seen."""

_SQUARES, _FINE = 16, 4  # squares a side of a look; samples a side of a square
LOOK_SIZE = _SQUARES * _SQUARES * 3
_DRAFT = 448, 448  # pixels, as `panda-train check` decodes a JPEG, so that its looks are those of `fit` and `extend`
_MOST = 4.0  # grey levels of 255: pictures that differ by more are not copies
_SHARE = 6.0  # times further than a copy is, most pictures lie from the one most alike
_USUAL = 0.25  # quantile over pictures of the distance to the one most alike
_ASKED = 200  # pictures, spread over all, that tell what is usual
_LEAST = 1 / 16  # grey levels: below that only pictures of the very same look are copies
_ROUNDING = 1e-3  # grey levels, of a mean of float32 values
_READERS = 4
_NAMED = 3  # copies that a message names


@dataclass(frozen=True)
class Distinct:
    """Pictures without copies. paths: in the order given. looks: of those that can be read, float32 (N, LOOK_SIZE).
    copies: each one's file name, and what it is a copy of, in words. given: how many pictures there were."""

    paths: tuple[Path, ...]
    looks: np.ndarray
    copies: tuple[tuple[str, str], ...]
    given: int

    @property
    def said(self) -> str:
        """One line about the copies; '' where there are none."""
        if not self.copies:
            return ""
        named = ", ".join(f"{copy} of {first}" for copy, first in self.copies[:_NAMED])
        more = ", …" if len(self.copies) > _NAMED else ""
        return f"left out as copies: {len(self.copies)} of {self.given} normal pictures ({named}{more})"


def without_copies(
    paths: Sequence[Path], progress: Progress = silent, stored: np.ndarray | None = None, white: int | None = None
) -> Distinct:
    """Take each picture once: of copies, the first. Pictures that cannot be read stay; whoever reads them names them.

    stored: looks of pictures that a bundle has, (N, LOOK_SIZE), which come first. white: see `open_image`.
    """
    return taken_once(paths, list(progress(_looks(paths, white), "compare", len(paths))), stored)


def taken_once(paths: Sequence[Path], seen: Sequence[np.ndarray | None], stored: np.ndarray | None = None) -> Distinct:
    """As `without_copies`. seen: the look of each picture; None of one that cannot be read."""
    readable = [number for number, look in enumerate(seen) if look is not None]
    looks = _stacked([look for look in seen if look is not None])
    there = 0 if stored is None else len(stored)
    # Where it leads among the stored ones does not matter: they stay.
    first = first_of_copies(looks if stored is None else np.concatenate([stored, looks]))[there:] - there
    itself = first == np.arange(len(looks))
    copies = {readable[i]: int(first[i]) for i in np.flatnonzero(~itself)}
    return Distinct(
        tuple(path for number, path in enumerate(paths) if number not in copies),
        looks[itself],
        tuple(
            (paths[copy].name, "one in the bundle" if of < 0 else paths[readable[of]].name)
            for copy, of in copies.items()
        ),
        len(paths),
    )


def looks_of(paths: Sequence[Path], white: int | None = None) -> np.ndarray:
    """The looks of those pictures that can be read, float32 (N, LOOK_SIZE). white: see `open_image`."""
    return _stacked([look for look in _looks(paths, white) if look is not None])


def write_looks(staging: Path, looks: np.ndarray) -> None:
    file = staging / LOOKS_FILE
    file.parent.mkdir(exist_ok=True)
    np.save(file, looks.astype(np.float16), allow_pickle=False)


def read_looks(bundle: Bundle) -> np.ndarray:
    """The looks of all pictures that a bundle has seen, float32 (N, LOOK_SIZE). Raises BundleError."""
    path = bundle.checked_file(LOOKS_FILE)
    try:
        with path.open("rb") as stream:
            shape = read_header(stream)[0]
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: not a readable .npy array; damaged, copy it again") from error
    looks = np.array(bundle.array(LOOKS_FILE, (*shape[:1], LOOK_SIZE), "float16"), dtype=np.float32)
    if not np.isfinite(looks).all():
        raise BundleError(f"{path}: values that are not finite; export the bundle again")
    return looks


def first_of_copies(looks: np.ndarray) -> np.ndarray:
    """Of each picture the number of the one that it is a copy of, or its own; int64 (N,).

    looks: float32 (N, LOOK_SIZE). Two pictures lie as far apart as the square in which they differ most. A copy lies at
    most 4 grey levels from the first, and at most a sixth of what three quarters of the pictures lie from the one most
    alike, copies left out. Pictures of the very same look are always copies.
    """
    near, limit = _near(looks), _MOST
    while limit >= _LEAST:
        first = _leaders(near, limit)
        left = looks[np.unique(first)]
        if len(left) < 2:
            limit /= 2
            continue
        allowed = _usual_distance(left) / _SHARE
        if limit <= allowed:
            return first
        limit = allowed
    return _leaders(near, 0.0)


def distances(looks: np.ndarray, look: np.ndarray) -> np.ndarray:
    """Of each of some looks (N, …) to another: the most that a square's mean differs, in grey levels; (N,)."""
    apart = np.abs(looks - look).reshape(len(looks), len(look) // 3, 3)
    return np.asarray(apart.mean(axis=2).max(axis=1, initial=0.0))


Near = tuple[np.ndarray, np.ndarray]
"""Numbers, ascending, of the pictures before one that may be what it is a copy of, and how far they lie from it."""


def _near(looks: np.ndarray) -> list[Near]:
    means, coarse = looks.mean(axis=1), _coarse(looks)
    found = []
    for number in range(len(looks)):
        # Neither means nor coarse looks differ by more than the looks do.
        within = np.flatnonzero(np.abs(means[:number] - means[number]) <= _MOST + _ROUNDING)
        within = within[distances(coarse[within], coarse[number]) <= _MOST + _ROUNDING]
        apart = distances(looks[within], looks[number])
        found.append((within[apart <= _MOST], apart[apart <= _MOST]))
    return found


def _leaders(near: Sequence[Near], limit: float) -> np.ndarray:
    """Each picture joins the first one before it that joined none and lies within the limit."""
    first = np.arange(len(near))
    for number, (before, apart) in enumerate(near):
        joined = before[(apart <= limit) & (first[before] == before)]
        if len(joined):
            first[number] = joined[0]
    return first


def _coarse(looks: np.ndarray) -> np.ndarray:
    """Means over 4 × 4 squares, which differ by no more than the squares do; (N, LOOK_SIZE / 16)."""
    parts = looks.reshape(len(looks), _SQUARES // 4, 4, _SQUARES // 4, 4, 3)
    return np.ascontiguousarray(parts.mean(axis=(2, 4)).reshape(len(looks), LOOK_SIZE // 16))


def _usual_distance(looks: np.ndarray) -> float:
    """How far most pictures lie from the one most alike."""
    asked = evenly_spread(len(looks), _ASKED)
    nearest = []
    for number in asked:
        apart = distances(looks, looks[number])
        apart[number] = np.inf
        nearest.append(apart.min())
    return float(np.quantile(nearest, _USUAL))


def _looks(paths: Sequence[Path], white: int | None) -> Iterator[np.ndarray | None]:
    with ThreadPoolExecutor(_READERS) as readers:
        yield from readers.map(partial(_look, white=white), paths)


def _look(path: Path, white: int | None) -> np.ndarray | None:
    """A picture's look; None where it cannot be read."""
    try:
        return look_of(open_image(path, lambda size: _DRAFT, keep_grey=True, white=white).image)
    except ImageError:
        return None


def look_of(image: Image.Image) -> np.ndarray:
    """Mean colours of the squares of a picture, RGB or grey, of 448 pixels a side or more where it was decoded down;
    float32 (LOOK_SIZE,)."""
    image = to_rgb(image)
    side = _SQUARES * _FINE
    fine = np.asarray(image.resize((side, side), reducing_gap=3.0), dtype=np.float32)
    squares = fine.reshape(_SQUARES, _FINE, _SQUARES, _FINE, 3).mean(axis=(1, 3))
    return np.ascontiguousarray(squares.astype(np.float16).reshape(LOOK_SIZE), dtype=np.float32)


def _stacked(looks: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack(looks) if looks else np.zeros((0, LOOK_SIZE), np.float32)
