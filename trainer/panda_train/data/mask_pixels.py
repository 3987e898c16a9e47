"""What a mask file shows: which pixels of an image are anomalous."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from panda_edge.errors import DataError, ImageError
from panda_edge.images.reading import image_header, stored_image

_FEW = 16  # values that a mask may have, each of them something; more are an edge or a noise
_NEAR = 3 / 255  # of the full range: noise of recompression has no wider gaps
_NOISE = 4  # so many values in a row from black up are noise, and no classes, where something is far brighter
_BETWEEN = (0.25, 0.75)  # of the full range: neither black nor white
_MOST_BETWEEN = 0.1  # share of a mask's pixels: what has more is a picture, not a mask
_DARK = 64  # a colour of which no channel is higher may be background
_ADVICE = "give a black-and-white PNG"


def read_masks(paths: Sequence[Path]) -> np.ndarray:
    """What several masks of one image show together: bool (H, W). Raises DataError."""
    found = read_mask(paths[0])
    for path in paths[1:]:
        other = read_mask(path)
        if other.shape != found.shape:
            raise DataError(f"{path}: {_size(other)} pixels beside {paths[0].name} of {_size(found)}; make them alike")
        found |= other
    return found


def read_mask(path: Path) -> np.ndarray:
    """The true pixels of an image: bool (H, W), True where anomalous.

    Black is background, and every other value or colour is anomalous, of palettes and numbered classes, too. Of a mask
    of one colour on nothing, what is opaque is anomalous. Where recompression or scaling left many values, those above
    half of the range are. Raises DataError, also where a file is no such mask.
    """
    try:
        image = stored_image(path)
        if image.mode not in ("I", "F") and not image.mode.startswith("I;16") and image_header(path).deep:
            raise ImageError("colours of 16 bits")
        values, full = _values(image)
        return _shown(values, full)
    except (ImageError, ValueError) as error:  # ValueError: a mode that has no colours
        reason = str(error).removeprefix(f"{path}: ")
        raise DataError(f"{path}: cannot be read as a mask ({reason}); {_ADVICE}") from error


def _values(image: Image.Image) -> tuple[np.ndarray, int]:
    """A value for each pixel, 0 where it is black, and the largest that the format has."""
    if image.mode == "F":
        raise ImageError("floating-point values")
    if image.mode.startswith("I"):
        deep = np.asarray(image)
        if deep.min() < 0 or deep.max() > 65535:
            raise ImageError(f"values from {deep.min()} to {deep.max()}")
        return deep.astype(np.uint16), 65535
    if image.mode in ("1", "L") and "transparency" not in image.info:
        return np.asarray(image.convert("L")), 255
    pixels = np.asarray(image.convert("RGBA"))
    brightest, alpha = pixels[..., :3].max(axis=2), pixels[..., 3]
    if alpha.min() == alpha.max():
        _check_background(pixels[..., :3], brightest)
        return brightest, 255
    visible = pixels[alpha > 0][:, :3]
    if (visible == visible[0]).all():
        return alpha, 255
    return np.rint(brightest.astype(np.float32) * alpha / 255).astype(np.uint8), 255


def _check_background(colours: np.ndarray, brightest: np.ndarray) -> None:
    if brightest.min() >= _DARK and (colours != colours[0, 0]).any():
        raise ImageError("several colours and none of them black, which is background")


def _shown(values: np.ndarray, full: int) -> np.ndarray:
    levels = np.flatnonzero(np.bincount(values.ravel(), minlength=2))
    lowest, top = int(levels[0]), int(levels[-1])
    if len(levels) == 1:
        shown: np.ndarray = values > 0  # all background, or all of it anomalous
    elif len(levels) <= _FEW:
        shown = values > _background(levels, full)
        for level in levels[1:]:
            if level <= full / 2 and _is_edge(values, int(level), full):
                shown &= values != level
    elif lowest == 0 and top < full * _BETWEEN[0]:
        shown = values > 0  # numbers of classes
    else:
        between = (values >= full * _BETWEEN[0]) & (values < full * _BETWEEN[1])
        if (share := float(between.mean())) > _MOST_BETWEEN or top < full / 2:
            raise ImageError(f"{len(levels)} grey values from {lowest} to {top}, {share:.0%} neither black nor white")
        shown = values > full / 2
    return shown


def _background(levels: np.ndarray, full: int) -> int:
    """The highest of a mask's values, ascending, that is background."""
    in_a_row = 1
    while in_a_row < len(levels) and levels[in_a_row] - levels[in_a_row - 1] <= _NEAR * full:
        in_a_row += 1
    end, is_noise = int(levels[in_a_row - 1]), levels[0] > 0 or in_a_row >= _NOISE
    return end if is_noise and levels[-1] - end > full / 2 else int(levels[0])


def _is_edge(values: np.ndarray, level: int, full: int) -> bool:
    """Whether a dim value is only the smoothed edge of what is bright: it fills no square, and always touches that."""
    where = values == level
    if (where[:-1, :-1] & where[1:, :-1] & where[:-1, 1:] & where[1:, 1:]).any():
        return False
    bright = np.pad(values > full / 2, 1)
    height, width = values.shape
    touched = np.zeros_like(where)
    for down in range(3):
        for across in range(3):
            touched |= bright[down : down + height, across : across + width]
    return bool(touched[where].all())


def _size(mask: np.ndarray) -> str:
    return f"{mask.shape[1]}×{mask.shape[0]}"
