"""Photographs of textures that scikit-image ships, and what makes two pictures of one texture differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

TEXTURES = ("brick", "grass", "gravel")


def photograph(name: str) -> np.ndarray:
    """float64 (512, 512), 0 … 255."""
    from skimage import data  # its lazy loader is slow to import; only this command pays

    return np.asarray(getattr(data, name)(), dtype=np.float64)


def crop(texture: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A square of `size` pixels a side from any place of (H, W), every other one mirrored."""
    top, left = (int(rng.integers(0, side - size + 1)) for side in texture.shape)
    cut = texture[top : top + size, left : left + size]
    return cut[:, ::-1].copy() if rng.random() < 0.5 else cut.copy()


def light(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The small changes of exposure and sensor noise that any two photographs of one part have."""
    gain, offset = rng.uniform(0.94, 1.06), rng.uniform(-5, 5)
    return image * gain + offset + rng.normal(0, 1.5, image.shape)


def save(path: Path, image: np.ndarray, level: int | None = None) -> None:
    """A grey PNG of (H, W) in 0 … 255, in a folder that is made where it is missing.

    level: of zlib, 0 … 9; None: as small as it gets.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.clip(np.rint(image), 0, 255).astype(np.uint8))
    if level is None:
        picture.save(path, optimize=True)
    else:
        picture.save(path, compress_level=level)
