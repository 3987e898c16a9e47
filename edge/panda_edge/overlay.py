"""Heat maps a person can look at: a colour-blind-safe scale, the same for every image of a bundle."""

from __future__ import annotations

import numpy as np
from PIL import Image

from panda_edge.detector import Result
from panda_edge.images import ImageLike, open_image
from panda_edge.manifest import Segmentation

# Inferno (matplotlib, CC0; van der Walt & Smith 2015) at nine equal steps: lightness grows evenly for every eye.
_INFERNO = np.array(
    [
        (0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85),
        (227, 89, 51), (249, 140, 10), (249, 201, 50), (252, 255, 164),
    ],
    dtype=np.float32,
)  # fmt: skip

_SKIPPED = 2  # the darkest steps, which would hide a dark image

_MAX_OVERLAY_SIDE = 2048  # pixels; a larger image is scaled down for its overlay
_STRONGEST = 0.8  # share of the colour where the map is at the top of its scale; none at the bottom
_DARKENED = 0.6  # share of black over what the model did not see


def color_scale(segmentation: Segmentation) -> tuple[float, float]:
    """Heat map values at the bottom and the top of the colours: what is usual for normal pixels stays clear."""
    low, high = segmentation.normal_low, segmentation.normal_high
    return low, max(2 * high - low, low + 1e-6)


def overlay(image: ImageLike, result: Result, scale: tuple[float, float]) -> Image.Image:
    """The image under its heat map: RGB, of the image's size (at most 2048 pixels a side).

    What a crop left out is shown darkened.
    """
    picture = open_image(image, (_MAX_OVERLAY_SIDE, _MAX_OVERLAY_SIDE)).image
    picture.thumbnail((_MAX_OVERLAY_SIDE, _MAX_OVERLAY_SIDE))
    if result.heatmap is None:
        raise ValueError("this result has no heat map; use segment() instead of detect()")
    values = result.preprocessing.to_image(result.heatmap, picture.size)
    low, high = scale
    seen = np.isfinite(values)[..., None]
    level = np.clip((np.nan_to_num(values) - low) / (high - low), 0, 1)[..., None]
    share = np.where(seen, _STRONGEST * np.sqrt(level), _DARKENED)
    colors = np.where(seen, _colors(level[..., 0]), 0)
    mixed = (1 - share) * np.asarray(picture, dtype=np.float32) + share * colors
    return Image.fromarray(mixed.astype(np.uint8))


def _colors(level: np.ndarray) -> np.ndarray:
    """RGB 0 … 255, float32 (H, W, 3), of levels 0 … 1."""
    steps = np.linspace(0, 1, len(_INFERNO) - _SKIPPED)
    return np.stack([np.interp(level, steps, _INFERNO[_SKIPPED:, channel]) for channel in range(3)], axis=-1)
