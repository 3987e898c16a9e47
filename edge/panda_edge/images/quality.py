"""What a picture is like as a picture: how bright, how much of it burnt out or flat, how sharp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from panda_edge.images.preprocessing import Preprocessing

# A defocused or dark picture is so everywhere: four bands, a quarter of the rows, tell it at a quarter of the cost.
_BANDS = 4
_ROWS = 16  # one band is this share of the rows, inverse
_BURNT_OUT = 250  # grey value from which a pixel says nothing


@dataclass(frozen=True)
class Quality:
    """Of a picture at the model's input size, in grey values 0 … 255.

    brightness: their mean. contrast: their standard deviation. burnt_out: share of pixels at 250 or more, 0 … 1.
    detail: mean absolute Laplacian over the contrast (at least 1): falls with blur, not with the light.
    """

    brightness: float
    contrast: float
    burnt_out: float
    detail: float


def measure_quality(picture: Image.Image, preprocessing: Preprocessing) -> Quality:
    """The quality of an RGB or grey picture of any size, as the model would see it: rows are sampled, in bands."""
    left, top, right, bottom = preprocessing.box(*picture.size)
    a_row = (bottom - top) / preprocessing.height
    rows = max(8, preprocessing.height // _ROWS)
    bands = []
    for band in range(_BANDS):
        first = top + a_row * ((band + 0.5) / _BANDS * preprocessing.height - rows / 2)
        upper, lower = max(int(first), 0), min(int(np.ceil(first + rows * a_row)), picture.height)
        strip = picture.crop((0, upper, picture.width, lower)).convert("L")
        box = (left, max(first - upper, 0.0), right, min(first - upper + rows * a_row, float(strip.height)))
        size = (preprocessing.width, rows)
        bands.append(np.asarray(strip.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)))
    grey = np.stack(bands).astype(np.int16)
    middle = grey[:, 1:-1, 1:-1]
    laplacian = 4 * middle - grey[:, :-2, 1:-1] - grey[:, 2:, 1:-1] - grey[:, 1:-1, :-2] - grey[:, 1:-1, 2:]
    contrast = float(grey.std())
    return Quality(
        brightness=float(grey.mean()),
        contrast=contrast,
        burnt_out=float((grey >= _BURNT_OUT).mean()),
        detail=float(np.abs(laplacian).mean()) / max(contrast, 1.0),
    )


@dataclass(frozen=True)
class QualityRange:
    """What the normal pictures showed: the least and most of `images` of them, in Quality's units."""

    images: int
    brightness_low: float
    contrast_low: float
    burnt_out_high: float
    detail_low: float

    def joined(self, other: QualityRange) -> QualityRange:
        """The range of both together."""
        return QualityRange(
            images=self.images + other.images,
            brightness_low=min(self.brightness_low, other.brightness_low),
            contrast_low=min(self.contrast_low, other.contrast_low),
            burnt_out_high=max(self.burnt_out_high, other.burnt_out_high),
            detail_low=min(self.detail_low, other.detail_low),
        )

    @classmethod
    def of(cls, qualities: Sequence[Quality]) -> QualityRange:
        """The range of at least one picture's quality."""
        return cls(
            images=len(qualities),
            brightness_low=round(min(quality.brightness for quality in qualities), 4),
            contrast_low=round(min(quality.contrast for quality in qualities), 4),
            burnt_out_high=round(max(quality.burnt_out for quality in qualities), 4),
            detail_low=round(min(quality.detail for quality in qualities), 4),
        )
