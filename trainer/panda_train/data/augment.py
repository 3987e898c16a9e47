"""Augmented copies of a frame, as contrastive learning takes them (Chen et al., SimCLR, 2020, appendix A).

A crop of a fifth to all of the area, brought back to the frame's size; mirrored in half of the cases; colours jittered
in four of five, grey in one of five; blurred in half. The mean-shifted contrastive loss (arXiv 2106.03844) takes these.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

_AREA = (0.2, 1.0)
_ASPECT = (3 / 4, 4 / 3)
_JITTER = 0.4  # largest change of brightness, contrast and saturation
_HUE = 0.1  # of the colour circle
_BLUR = (0.1, 2.0)  # standard deviation, pixels of a frame of 224
_JITTERED, _GREY, _BLURRED, _MIRRORED = 0.8, 0.2, 0.5, 0.5


def augmented(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One augmented copy of a frame, uint8 (H, W, 3) → uint8 (H, W, 3)."""
    height, width = frame.shape[:2]
    image = Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR, box=_crop(height, width, rng))
    if rng.random() < _MIRRORED:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < _JITTERED:
        image = _jittered(image, rng)
    if rng.random() < _GREY:
        image = image.convert("L").convert("RGB")
    if rng.random() < _BLURRED:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(*_BLUR) * min(height, width) / 224))
    return np.asarray(image)


def copies(numbered: Iterable[tuple[int, np.ndarray]], count: int, seed: int) -> Iterator[np.ndarray]:
    """`count` augmented copies of each frame, one after another. A copy depends on seed, number and frame alone."""
    for number, frame in numbered:
        for copy in range(count):
            yield augmented(frame, np.random.default_rng([seed, number, copy]))


def _crop(height: int, width: int, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Left, upper, right and lower edge of a crop; a shape that does not fit in is cut off at the frame's size."""
    area = rng.uniform(*_AREA) * height * width
    aspect = np.exp(rng.uniform(*np.log(_ASPECT)))
    crop_width, crop_height = min(np.sqrt(area * aspect), width), min(np.sqrt(area / aspect), height)
    left, upper = rng.uniform(0, width - crop_width), rng.uniform(0, height - crop_height)
    return left, upper, left + crop_width, upper + crop_height


def _jittered(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Brightness, contrast, saturation and hue changed, in an order drawn by chance."""
    for change in rng.permutation(4):
        if change == 3:
            image = _turned_hue(image, rng.uniform(-_HUE, _HUE))
            continue
        enhance = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[change]
        image = enhance(image).enhance(rng.uniform(1 - _JITTER, 1 + _JITTER))
    return image


def _turned_hue(image: Image.Image, share: float) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    turned = Image.fromarray(np.asarray(hue) + np.uint8(round(share * 255) % 256))
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")
