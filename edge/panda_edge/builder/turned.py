"""Turned copies of normal pictures, for parts that lie at any angle and banks of few pictures."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from panda_edge.bundle.recipe import AUGMENTS

ANGLES = AUGMENTS["rotate"]


def turned(image: Image.Image, how: str, number: int) -> Image.Image:
    """Copy `number` of an RGB or grey picture, of its size; the picture itself for 0.

    rotate: about its middle, by number · 30°; what comes in over the border is the picture, mirrored there. flip: left
    to right, top to bottom, and both.
    """
    if number == 0:
        return image
    if how == "flip":
        across, down = number & 1, number & 2
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if across else image
        return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if down else image
    width, height = image.size
    half = math.hypot(width, height) / 2
    across, down = math.ceil(half - width / 2) + 1, math.ceil(half - height / 2) + 1
    pixels = np.asarray(image)
    beside = [(down, down), (across, across), (0, 0)][: pixels.ndim]
    wide = Image.fromarray(np.pad(pixels, beside, mode="symmetric"))
    rotated = wide.rotate(360 * number / ANGLES, Image.Resampling.BICUBIC)
    return rotated.crop((across, down, across + width, down + height))
