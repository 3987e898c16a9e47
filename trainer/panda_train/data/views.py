"""Many views of one photograph of a texture: turned, mirrored, scaled and gently bent copies of it.

A photograph of 512 × 256 pixels is too small to fill a picture of 2048 × 2048, 32 times its area, without showing
anything twice. In another view the same stone is no repetition that a comparison of patches can find.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

_TURNS = 72  # of 5 degrees; two of the same scale are 15 degrees apart
_SCALES = (0.87, 1.0, 1.15)
_JITTER = 0.03  # of each view's scale
_BEND = 2.0  # root mean square of a view's displacements, in pixels
_WAVE = 24  # between independent displacements, in pixels


class Views(NamedTuple):
    """images: uint8 (V, S, S); inside: bool (V, S, S), which of their pixels show the photograph."""

    images: np.ndarray
    inside: np.ndarray


def views_of(photograph: np.ndarray, rng: np.random.Generator) -> Views:
    """All views of a photograph (H, W) in 0 … 255."""
    height, width = photograph.shape
    side = int(np.hypot(height, width) * max(_SCALES) * (1 + _JITTER)) + 1
    images = np.zeros((2 * _TURNS, side, side), dtype=np.uint8)
    inside = np.zeros(images.shape, dtype=bool)
    splines = ndimage.spline_filter(photograph.astype(np.float32), order=3, output=np.float32)
    y, x = np.mgrid[:side, :side].astype(np.float32) - np.float32((side - 1) / 2)
    for i in range(len(images)):
        angle = 2 * np.pi * (i // 2 + rng.uniform()) / _TURNS
        scale = _SCALES[i // 2 % len(_SCALES)] * rng.uniform(1 - _JITTER, 1 + _JITTER)
        sine, cosine, mirror = float(np.sin(angle) / scale), float(np.cos(angle) / scale), (-1) ** i
        rows = cosine * y - sine * x + (height - 1) / 2 + _bend(side, rng)
        columns = mirror * (sine * y + cosine * x) + (width - 1) / 2 + _bend(side, rng)
        inside[i] = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
        at = np.stack([rows[inside[i]], columns[inside[i]]])
        pixels = ndimage.map_coordinates(splines, at, output=np.float32, order=3, mode="mirror", prefilter=False)
        images[i, inside[i]] = np.clip(np.rint(pixels), 0, 255)
    return Views(images, inside)


def _bend(side: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth displacements along one axis, float32 (side, side), in pixels."""
    knots = rng.normal(0, 1, [side // _WAVE + 2] * 2).astype(np.float32)
    smooth = np.asarray(Image.fromarray(knots).resize((side, side), Image.Resampling.BICUBIC))
    return np.asarray(smooth * (_BEND / smooth.std()))
