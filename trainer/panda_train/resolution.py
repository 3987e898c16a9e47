"""At what resolution pictures are looked at: from the user's words to a preprocessing."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from panda_edge.errors import ImageError, PandaError
from panda_edge.images.preprocessing import RESIZES, Preprocessing
from panda_edge.images.reading import image_size
from panda_edge.images.tiling import DEFAULT_OVERLAP, GRID_OVERLAP, MAX_OVERLAP, MAX_SCALE, MIN_SCALE, Tiling
from panda_edge.images.view import LEAST_SPAN
from panda_train import backbones
from panda_train.data.headers import headers_of

SIDE = 224  # of the default input: as many pixels in any shape
_MUCH_LARGER = 2.0  # times the input: from there on `fit` warns
_LONG = 2.25
# How many times as long as wide pictures are that get an input of their own shape. At 2.5 that gains .05 in image AUROC
# and .33 in PRO; at 2 and at 4:3 it gains nothing: `benchmarks/studies/map_steps`.
_BENT = 1.1  # by how much an input's aspect ratio may differ from that of the pictures
_LONGEST = 4096  # pixels a side of an input


@dataclass(frozen=True)
class Resolution:
    """The options of `fit`, as they are given. None: not given.

    input_size: pixels a side, or HEIGHTxWIDTH; None: 224 a side, or of long pictures as many pixels in their shape.
    tiles: auto, ROWSxCOLUMNS or none. smallest_defect: in pixels of the user's own pictures. multiple: of what a given
    input_size must be.
    """

    input_size: str | None = None
    resize: str = "squash"
    tiles: str | None = None
    overlap: float | None = None
    scale: float | None = None
    smallest_defect: float | None = None
    multiple: int = backbones.INPUT_MULTIPLE


def preprocessing_of(asked: Resolution, images: Sequence[Path], quiet: bool = False) -> Preprocessing:
    """What the options mean for such images; says on stderr, unless `quiet`, what was chosen and what is out of sight.

    Raises PandaError for options that contradict one another.
    """
    headers = headers_of(images)
    say = _unsaid if quiet else _said
    for line in headers.lines():
        say(line)
    return replace(_geometry_of(asked, images, headers.middle, quiet, say), white=headers.white)


def _geometry_of(
    asked: Resolution, images: Sequence[Path], middle: tuple[int, int], quiet: bool, say: Callable[[str], None]
) -> Preprocessing:
    """middle: size of the picture whose aspect ratio is in the middle."""
    if asked.resize not in RESIZES:
        raise PandaError(f"unknown --resize {asked.resize!r}; expected {', '.join(RESIZES)}")
    height, width = (SIDE, SIDE) if asked.input_size is None else _size(asked.input_size, asked.multiple)
    tiles = _tiles(asked, height, width)
    if asked.input_size is None and tiles is None and asked.smallest_defect is None and asked.resize == "squash":
        height, width = input_shape(SIDE, middle)
        if height != width:
            say(
                f"pictures of {middle[0]}×{middle[1]} are long: the input is {width}×{height}, about as many pixels as "
                f"{SIDE}×{SIDE}; --input-size {SIDE} squashes them into a square"
            )
    whole = _whole(asked.resize, height, width)
    if asked.smallest_defect is not None:
        picture = _picture(images)
        scale = min(MAX_SCALE, max(MIN_SCALE, LEAST_SPAN / asked.smallest_defect))
        shown = f"--smallest-defect {asked.smallest_defect:g} of pictures of {picture[0]}×{picture[1]}"
        if picture[0] * scale <= width and picture[1] * scale <= height:
            say(f"{shown}: a whole picture in one frame of {width}×{height} shows it")
            return whole
        tiles = Tiling(DEFAULT_OVERLAP if asked.overlap is None else asked.overlap, scale)
        count = Preprocessing(height, width, tiles=tiles).view(picture).count
        say(f"{shown}: scale {scale:.3g}, {count} tiles of {width}×{height} a picture")
    if tiles is None:
        if asked.tiles is None and not quiet:
            _warn_of_size(whole, images)
        return whole
    if asked.resize != "squash":
        raise PandaError(f"--resize {asked.resize} does nothing with tiles; leave one of them out")
    return Preprocessing(height, width, tiles=tiles)


def input_shape(side: int, picture: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of an input of at most side² pixels for pictures of (width, height): a square, or of long
    pictures the largest input of nearly their aspect ratio."""
    ratio = picture[1] / picture[0]
    if 1 / _LONG < ratio < _LONG:
        return side, side
    multiple = backbones.INPUT_MULTIPLE
    multiples = range(multiple, min(_LONGEST, side * side // multiple) + 1, multiple)
    shapes = [(height, width) for height in multiples for width in multiples if height * width <= side * side]
    alike = [shape for shape in shapes if abs(math.log(shape[0] / shape[1] / ratio)) <= math.log(_BENT)]
    if not alike:  # longer than any input: as long as can be
        return max(shapes, key=lambda shape: (shape[0] / shape[1]) if ratio > 1 else (shape[1] / shape[0]))
    return max(alike, key=lambda shape: (shape[0] * shape[1], -abs(math.log(shape[0] / shape[1] / ratio))))


def _said(line: str) -> None:
    print(line, file=sys.stderr)


def _unsaid(line: str) -> None:
    pass


def _tiles(asked: Resolution, height: int, width: int) -> Tiling | None:
    by_number = asked.tiles not in ("auto", "none", None)
    overlap = asked.overlap if asked.overlap is not None else GRID_OVERLAP if by_number else DEFAULT_OVERLAP
    if not 0 <= overlap <= MAX_OVERLAP:
        raise PandaError(f"--overlap {overlap:g}: expected a share of a tile's side from 0 to {MAX_OVERLAP:g}")
    if asked.scale is not None and not MIN_SCALE <= asked.scale <= MAX_SCALE:
        raise PandaError(
            f"--scale {asked.scale:g}: expected {MIN_SCALE:g} to {MAX_SCALE:g}; 1 keeps a picture's pixels"
        )
    if asked.smallest_defect is not None:
        if not (math.isfinite(asked.smallest_defect) and asked.smallest_defect > 0):
            raise PandaError(f"--smallest-defect {asked.smallest_defect:g}: expected a number of pixels above 0")
        given = {"--tiles": asked.tiles, "--scale": asked.scale}
        if chosen := [name for name, value in given.items() if value is not None]:
            raise PandaError(f"--smallest-defect chooses {chosen[0]}; leave one of them out")
        return None
    if asked.tiles == "none" or (asked.tiles is None and asked.scale is None):
        if asked.scale is not None or asked.overlap is not None:
            name = "--scale" if asked.scale is not None else "--overlap"
            raise PandaError(f"{name} does nothing without tiles; give --tiles auto, too")
        return None
    if asked.tiles in ("auto", None):
        return Tiling(overlap, asked.scale or 1.0)
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", asked.tiles or "")
    if not found:
        raise PandaError(f"--tiles {asked.tiles!r}: expected auto, none, or rows and columns such as 3x3")
    if asked.scale is not None:
        raise PandaError(
            f"--scale does nothing with --tiles {asked.tiles}, which scales pictures to fit; leave one out"
        )
    return Tiling.grid(int(found[1]), int(found[2]), height, width, overlap)


def _size(given: str, multiple: int) -> tuple[int, int]:
    """(height, width) of `224` or `224x320`."""
    found = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", given)
    sides = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if any(side < 32 or side > _LONGEST or side % multiple for side in sides):
        raise PandaError(
            f"--input-size {given}: expected a multiple of {multiple} from 32 to {_LONGEST}, or two, such as 224x320 "
            "(height, width)"
        )
    return sides


def _whole(resize: str, height: int, width: int) -> Preprocessing:
    return Preprocessing.paper_crop(height, width) if resize == "crop" else Preprocessing(height, width, resize)


def _picture(images: Sequence[Path]) -> tuple[int, int]:
    """(width, height) of the first image that can be read."""
    for path in images:
        try:
            return image_size(path)
        except ImageError:
            continue  # the features' step will name it
    raise PandaError(f"none of the {len(images)} normal images can be read")


def _warn_of_size(preprocessing: Preprocessing, images: Sequence[Path]) -> None:
    """One line where pictures are much larger than the model's input."""
    try:
        picture = _picture(images)
    except PandaError:
        return  # the features' step will say it
    least = preprocessing.view(picture).least_defect
    if least > _MUCH_LARGER * LEAST_SPAN:
        print(
            f"warning: pictures of {picture[0]}×{picture[1]} are looked at in {preprocessing.width}×"
            f"{preprocessing.height}: defects below about {least:.0f} pixels are out of sight; "
            "--smallest-defect PIXELS cuts pictures into tiles that show smaller ones",
            file=sys.stderr,
        )
