"""Pictures made smaller to be looked at: for speed, not for the model."""

from __future__ import annotations

from PIL import Image


def shrunk(image: Image.Image, side: int) -> Image.Image:
    """A picture of at most `side` pixels a side; itself where it is so small. The one given stays as it is."""
    scale = side / max(image.size)
    if scale >= 1:
        return image
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
