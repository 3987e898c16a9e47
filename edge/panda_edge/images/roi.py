"""A region of interest: where in a picture to look, as a mask or as polygons (FORMAT.md says how each is read)."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from panda_edge.errors import ImageError, PandaError
from panda_edge.images.reading import MIN_SIDE, image_bytes, open_image_bytes

RoiLike: TypeAlias = "str | os.PathLike[str] | np.ndarray"
"""A mask's file, a .json file of polygons, or a mask: bool (H, W)."""

MASK_FILE, POLYGONS_FILE = "roi.png", "roi.json"

_INSIDE = 128  # grey value from which a mask's pixel is inside
_BETWEEN = (64, 192)  # neither black nor white
_MOST_BETWEEN = 0.1  # share of a mask's pixels: what has more is a picture, not a mask
_MOST_POINTS = 10_000
_MAX_JSON_BYTES = 1 << 20
_EXPECTED = "expected a list of polygons, [[[x, y], [x, y], [x, y], …], …]"


@dataclass(frozen=True, eq=False)
class Roi:
    """mask: bool (h, w), stretched over the whole picture; or polygons: each float64 (n, 2), x and y in pixels of the
    picture, or in fractions of its sides."""

    mask: np.ndarray | None = None
    polygons: tuple[np.ndarray, ...] = ()
    fractions: bool = False

    def inside(self, xs: np.ndarray, ys: np.ndarray, picture: tuple[int, int]) -> np.ndarray:
        """Which points of a grid lie inside: bool (len(ys), len(xs)).

        xs, ys: ascending, in pixels of a picture of (width, height). Of a mask the pixel that a point falls on counts;
        of polygons (even-odd) the point itself, of several at least one.
        """
        width, height = picture
        if self.mask is not None:
            rows = np.clip((ys * (self.mask.shape[0] / height)).astype(np.int64), 0, self.mask.shape[0] - 1)
            columns = np.clip((xs * (self.mask.shape[1] / width)).astype(np.int64), 0, self.mask.shape[1] - 1)
            sampled: np.ndarray = self.mask[rows[:, None], columns]
            return sampled
        found = np.zeros((len(ys), len(xs)), dtype=bool)
        for polygon in self.polygons:
            found |= _even_odd(polygon * (picture if self.fractions else 1), xs, ys)
        return found

    def check(self, picture: tuple[int, int]) -> None:
        """Raise ImageError where a polygon lies beyond a picture of (width, height) pixels."""
        for number, polygon in enumerate(self.polygons, 1):
            x, y = polygon.max(axis=0)
            if not self.fractions and (x > picture[0] or y > picture[1]):
                raise ImageError(
                    f"{picture[0]}×{picture[1]} pixels, and polygon {number} of the roi reaches {x:g}, {y:g}; give "
                    "pixels of these pictures, or fractions of their sides"
                )

    def file(self) -> tuple[str, bytes]:
        """Name and content of the file that a bundle keeps it in."""
        if self.mask is not None:
            stream = io.BytesIO()
            Image.fromarray(self.mask).save(stream, "PNG")
            return MASK_FILE, stream.getvalue()
        return POLYGONS_FILE, json.dumps([polygon.tolist() for polygon in self.polygons]).encode()


def read_roi(given: RoiLike) -> Roi:
    """A roi from a file or an array. Raises PandaError."""
    if isinstance(given, np.ndarray):
        if given.dtype != bool or given.ndim != 2 or min(given.shape) < MIN_SIDE:
            raise PandaError(f"roi: got an array of {given.dtype} with shape {given.shape}; give a mask, bool (H, W)")
        return _of_mask(np.array(given), "roi")
    path = Path(given)
    try:
        return parse_roi(image_bytes(path), path.name, str(path))
    except ImageError as error:
        raise PandaError(f"roi: {error}; give a mask, or polygons in a .json file") from None


def parse_roi(data: bytes, file_name: str, shown: str) -> Roi:
    """A roi from a file's content. shown: what errors call it. Raises PandaError."""
    if file_name.lower().endswith(".json"):
        return _of_json(data, shown)
    image = open_image_bytes(data, shown).image
    if _sees_through(data):
        raise PandaError(f"{shown}: a mask with transparent pixels; save it in black (outside) and white (inside)")
    grey = np.asarray(image.convert("L"))
    between = float(((grey >= _BETWEEN[0]) & (grey < _BETWEEN[1])).mean())
    if between > _MOST_BETWEEN:
        raise PandaError(
            f"{shown}: {between:.0%} of it is neither black nor white; a mask is black outside, white inside"
        )
    return _of_mask(grey >= _INSIDE, shown)


def _of_mask(mask: np.ndarray, shown: str) -> Roi:
    if not mask.any():
        raise PandaError(f"{shown}: an empty mask, nothing would be looked at; white (128 to 255) is inside")
    return Roi(mask)


def _sees_through(data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as image:
        if "A" not in image.getbands() and "transparency" not in image.info:
            return False
        return bool(np.asarray(image.convert("RGBA"))[..., 3].min() < 255)


def _of_json(data: bytes, shown: str) -> Roi:
    if len(data) > _MAX_JSON_BYTES:
        raise PandaError(f"{shown}: {len(data)} bytes are too many for a roi; at most {_MAX_JSON_BYTES}")
    try:
        plain = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise PandaError(f"{shown}: not valid JSON; {_EXPECTED}") from None
    if not isinstance(plain, list):
        raise PandaError(f"{shown}: {_EXPECTED}")
    if not plain:
        raise PandaError(f"{shown}: no polygon, nothing would be looked at; {_EXPECTED}")
    polygons = tuple(_polygon(points, f"{shown}: polygon {number}") for number, points in enumerate(plain, 1))
    if sum(map(len, polygons)) > _MOST_POINTS:
        raise PandaError(f"{shown}: more than {_MOST_POINTS} points; give fewer, or a mask")
    largest = max(float(polygon.max()) for polygon in polygons)
    if 1 < largest < MIN_SIDE:
        raise PandaError(f"{shown}: reaches {largest:g}: fractions of a picture's sides reach 1, its pixels {MIN_SIDE}")
    return Roi(None, polygons, largest <= 1)


def _polygon(points: Any, where: str) -> np.ndarray:
    if not isinstance(points, list) or not all(_is_point(point) for point in points):
        raise PandaError(f"{where}: {_EXPECTED}")
    polygon = np.array(points, dtype=np.float64).reshape(-1, 2)
    if len(polygon) < 3:
        raise PandaError(f"{where}: {len(polygon)} points; a polygon has at least 3")
    if not (polygon >= 0).all():  # NaN, too
        raise PandaError(f"{where}: a point outside the picture; coordinates begin at 0, the upper left corner")
    x, y = polygon.T
    if not (np.isfinite(polygon).all() and abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) > 0):
        raise PandaError(f"{where}: has no area, nothing would be looked at")
    return polygon


def _is_point(point: Any) -> bool:
    return isinstance(point, list) and len(point) == 2 and all(type(value) in (int, float) for value in point)


def _even_odd(polygon: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Points from which a line to the left crosses the polygon an odd number of times."""
    found = np.zeros((len(ys), len(xs)), dtype=bool)
    edges: Sequence[tuple[np.ndarray, np.ndarray]] = list(zip(polygon, np.roll(polygon, -1, axis=0), strict=True))
    for (x0, y0), (x1, y1) in edges:
        first, last = np.searchsorted(ys, sorted((y0, y1)))
        if first < last:
            crossing = x0 + (ys[first:last] - y0) * ((x1 - x0) / (y1 - y0))
            found[first:last] ^= xs >= crossing[:, None]
    return found
