"""Defects of a wanted size in pixels, somewhere in a large picture."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import ndimage

from panda_train.data.defects import DEFECTS, Defect, draw_scratch, draw_stain
from panda_train.data.textures import crop

SIZES = {"scratch": (10, 60), "stain": (12, 60), "hole": (6, 40), "foreign": (16, 60)}
"""Least and largest longest side of a defect, in pixels, by kind: a smaller stain or patch shows no texture to tell."""

_DRAW: dict[str, Callable[[np.ndarray, np.ndarray, np.random.Generator], Defect]] = {
    **DEFECTS,
    # Stronger than in small pictures: a few pixels of grass are as dark and bright as a faint scratch.
    "scratch": partial(draw_scratch, strength=1.8, least_width=2.0, shake=0.4),
    "stain": partial(draw_stain, strength=1.5),
}
_SHARES = {"scratch": 0.5, "stain": 0.31, "hole": 0.12, "foreign": 0.26}  # of the drawn image's side, about
_NEAR = 0.12  # a defect's longest side differs from the wanted one by at most this share
_TRIES = 1000


def sizes_of(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Longest sides of `count` defects in pixels, float64: one from each of as many equal parts of the logarithm of
    SIZES, so that few pictures have small ones and large ones."""
    least, largest = np.log(SIZES[kind])
    share = (np.arange(count) + rng.uniform(0, 1, count)) / count
    return np.asarray(np.exp(least + share * (largest - least)))


def draw_small(kind: str, longest: float, image: np.ndarray, foreign: np.ndarray, rng: np.random.Generator) -> Defect:
    """A defect of a kind whose mask is about `longest` pixels on its longer side, in an image (H, W) in 0 … 255, with a
    photograph of another texture, at least 256 pixels a side, for `foreign`. The image given stays as it is."""
    least, largest = SIZES[kind]
    side = round(longest / _SHARES[kind])
    for _ in range(_TRIES):
        top, left = (int(rng.integers(0, length - side + 1)) for length in image.shape)
        window = image[top : top + side, left : left + side].astype(np.float64)
        drawn = _DRAW[kind](window, crop(foreign, side, rng) if kind == "foreign" else window, rng)
        reached = longest_side(drawn.mask)
        if abs(reached - longest) <= max(1, _NEAR * longest) and least <= reached <= largest:
            break
    else:
        raise RuntimeError(f"no {kind} of {longest:.0f} pixels in {_TRIES} tries")
    result, mask = image.copy(), np.zeros(image.shape, dtype=bool)
    result[top : top + side, left : left + side] = drawn.image
    mask[top : top + side, left : left + side] = drawn.mask
    return Defect(result, mask)


def longest_side(mask: np.ndarray) -> int:
    """Of the box around all that is set in a mask (H, W), in pixels; 0 for an empty one."""
    boxes = ndimage.find_objects(mask.astype(np.uint8))
    return max(part.stop - part.start for part in boxes[0]) if boxes else 0
