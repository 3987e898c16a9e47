"""Heat maps a person can look at: a colour-blind-safe scale, the same for every image of a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from panda_edge.bundle.manifest import Segmentation
from panda_edge.decide.decision import Decision
from panda_edge.errors import PandaError
from panda_edge.images.reading import ImageLike, open_image
from panda_edge.images.shrunk import shrunk
from panda_edge.visualise.shown import Shown

# Inferno (matplotlib, CC0; van der Walt & Smith 2015) at nine equal steps: lightness grows evenly for every eye.
_INFERNO = np.array(
    [
        (0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85),
        (227, 89, 51), (249, 140, 10), (249, 201, 50), (252, 255, 164),
    ],
    dtype=np.float32,
)  # fmt: skip

_LEAST_CAPTIONED = 48  # pixels of width; below, the letters would be specks
_LEAST_LETTERS = 11  # pixels of their size; smaller ones cannot be read on a screen
_SKIPPED = 2  # the darkest steps, which would hide a dark image

STYLES = ("heat", "outline", "side-by-side")
MAX_OVERLAY_SIDE = 2048  # pixels; a larger image is scaled down for its overlay
_STRONGEST = 0.8  # share of the colour where the map is at the top of its scale; none at the bottom
_OUTLINE, _OUTLINE_EDGE = (86, 180, 233), (0, 0, 0)  # Okabe and Ito's sky blue: apart from inferno for every eye
_ROWS = 128  # that are tinted at once
_STEPS, _UNSEEN = 254, np.uint8(255)  # of colour, and the one that stands for what nobody looked at
_DARKENED = 0.6  # share of black over what the model did not see


def color_scale(segmentation: Segmentation) -> tuple[float, float]:
    """Heat map values at the bottom and the top of the colours: what is usual for normal pixels stays clear."""
    low, high = segmentation.normal_low, segmentation.normal_high
    return low, max(2 * high - low, low + 1e-6 * max(low, 1.0))


def overlay(
    image: ImageLike, result: Shown, scale: tuple[float, float], white: int | None = None, style: str = "heat"
) -> Image.Image:
    """The image under its heat map: RGB, of the image's size (at most 2048 pixels a side), a caption below it.

    Anomalous regions are outlined, and lines below the picture give verdict, p-value and score, where the bundle is
    calibrated. What a crop left out is shown darkened. style: `heat`; `outline`, which leaves the defect itself to be
    seen; or `side-by-side`: the outline at the left, the heat at the right. white: see `open_image`.
    """
    if style not in STYLES:
        raise PandaError(f"--overlay {style!r}; expected {', '.join(STYLES)}")
    picture = open_image(image, lambda size: (MAX_OVERLAY_SIDE, MAX_OVERLAY_SIDE), white=white).image
    picture = shrunk(picture, MAX_OVERLAY_SIDE)
    if result.heatmap is None:
        raise ValueError("this result has no heat map; use segment() instead of detect()")
    values = result.view.to_picture(result.heatmap, picture.size)
    threshold = None if result.decision is None else result.decision.pixel_threshold
    pixels = np.asarray(picture)
    drawn = [] if style == "heat" else [_seen(pixels, values, threshold)]
    if style != "outline":
        drawn.append(tinted(pixels, values, scale, threshold))
    whole = Image.fromarray(np.concatenate(drawn, axis=1))
    if result.decision is None:
        return whole
    return captioned(whole, _verdict(result.decision), None if style == "outline" else scale)


def tinted(
    picture: np.ndarray, values: np.ndarray, scale: tuple[float, float], threshold: float | None = None
) -> np.ndarray:
    """A picture, uint8 (H, W, 3), under its heat map, float32 (H, W): uint8 (H, W, 3).

    What lies above the threshold is outlined; what is not finite, because nobody looked, is darkened.
    """
    mixed = np.empty_like(picture)
    for top in range(0, len(picture), _ROWS):  # the whole of a large picture would take many times its memory
        rows = slice(top, top + _ROWS)
        mixed[rows] = _mixed(picture[rows], values[rows], scale)
    return mixed if threshold is None else outlined(mixed, np.where(np.isfinite(values), values, -np.inf) > threshold)


def _mixed(picture: np.ndarray, values: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    low, high = scale
    seen = np.isfinite(values)
    # The root in steps, because the share of the colour goes by it. In bytes from there on: Pillow mixes them in C.
    level = np.sqrt(np.clip((np.where(seen, values, low) - low) / (high - low), 0, 1, dtype=np.float32))
    steps = np.where(seen, (level * _STEPS + 0.5).astype(np.uint8), _UNSEEN)
    palette, share = _palette()
    colors = Image.fromarray(steps)
    colors.putpalette(palette)
    mixed = Image.composite(colors.convert("RGB"), Image.fromarray(picture), Image.fromarray(share[steps]))
    return np.asarray(mixed)


@lru_cache(1)
def _palette() -> tuple[bytes, np.ndarray]:
    """Of each step: its colour, RGB one after the other, and its share of a mixed pixel, uint8 (256,) of 255."""
    level = np.linspace(0, 1, _STEPS + 1)
    colors = np.vstack([_colors(level**2), np.zeros((1, 3))])
    share = np.append(_STRONGEST * level, _DARKENED)
    return np.round(colors).astype(np.uint8).tobytes(), np.round(255 * share).astype(np.uint8)


def _seen(picture: np.ndarray, values: np.ndarray, threshold: float | None) -> np.ndarray:
    """A picture with its anomalous regions outlined, and darkened where nobody looked."""
    seen = np.isfinite(values)
    shown = np.where(seen[..., None], picture, (1 - _DARKENED) * picture.astype(np.float32)).astype(np.uint8)
    return shown if threshold is None else outlined(shown, np.where(seen, values, -np.inf) > threshold)


def outlined(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A picture, uint8 (H, W, 3), with a bright line and a dark edge around the True pixels of a mask; itself where
    there are none."""
    if not mask.any():
        return picture
    width = max(1, round(max(mask.shape) / 400))
    drawn = picture.copy()
    drawn[_grown(mask, 2 * width) & ~mask] = _OUTLINE_EDGE
    drawn[_grown(mask, width) & ~mask] = _OUTLINE
    return drawn


def _grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    """The mask and what lies within so many pixels of it, rows and columns apart."""
    for axis in (0, 1):
        padded = np.pad(mask, [(pixels, pixels) if axis == a else (0, 0) for a in (0, 1)])
        grown = padded.copy()
        for step in range(-pixels, pixels + 1):
            grown |= np.roll(padded, step, axis)
        inner = slice(pixels, -pixels)
        mask = grown[inner if axis == 0 else slice(None), inner if axis == 1 else slice(None)]
    return mask


def _verdict(decision: Decision) -> tuple[str, ...]:
    word = "ANOMALOUS" if decision.anomalous else "normal"
    return word, f"p = {decision.p_value:.2g}", f"score {decision.score:.3g} / {decision.threshold:.3g}"


def captioned(picture: Image.Image, words: Sequence[str], scale: tuple[float, float] | None) -> Image.Image:
    """The picture above some words, on as many lines as they need, and the colour scale, where there is one.

    Alone where it is too narrow for words.
    """
    if picture.width < _LEAST_CAPTIONED:
        return picture
    size = max(_LEAST_LETTERS, picture.width / 16 * 0.55)
    lines, font = _fitted(words, picture.width, size)
    space = size / 2
    height = round(size * 1.7)
    whole = Image.new("RGB", (picture.width, picture.height + height * (len(lines) + (scale is not None))))
    whole.paste(picture, (0, 0))
    draw = ImageDraw.Draw(whole)
    for number, line in enumerate(lines):
        middle = picture.height + height * (number + 0.5)
        draw.text((space, middle), line, fill="white", font=font, anchor="lm")
    if scale is not None:
        _draw_scale(whole, draw, scale, font, height)
    return whole


def _fitted(words: Sequence[str], width: int, size: float) -> tuple[list[str], ImageFont.ImageFont | Any]:
    """The words on as few lines as hold them, and a font; a smaller one only where a single word is too long."""
    room = width - size
    font = _font(size)
    # Step by step, because small letters are not as narrow as their size says.
    while max(font.getlength(word) for word in words) > room and size > 1:
        size *= 0.95
        font = _font(size)
    lines = [words[0]]
    for word in words[1:]:
        longer = f"{lines[-1]}  {word}"
        if font.getlength(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines, font


@lru_cache(64)
def _font(size: float) -> ImageFont.ImageFont | Any:
    """Kept, as Pillow unpacks the letters anew each time."""
    return ImageFont.load_default(size=size)


def _draw_scale(
    whole: Image.Image, draw: ImageDraw.ImageDraw, scale: tuple[float, float], font: Any, height: int
) -> None:
    """The colours, with their lowest and highest heat map value, in the last `height` pixels."""
    left, right = f"{scale[0]:.3g}", f"{scale[1]:.3g}"
    space = height * 0.3
    top = whole.height - height
    start = round(space * 2 + draw.textlength(left, font))
    end = round(whole.width - space * 2 - draw.textlength(right, font))
    if end - start > 8:
        bar = _colors(np.tile(np.linspace(0, 1, end - start), (max(height // 2, 4), 1))).astype(np.uint8)
        whole.paste(Image.fromarray(bar), (start, top + height // 4))
    draw.text((space, top + height / 2), left, fill="white", font=font, anchor="lm")
    draw.text((whole.width - space, top + height / 2), right, fill="white", font=font, anchor="rm")


def _colors(level: np.ndarray) -> np.ndarray:
    """RGB 0 … 255, float (…, 3), of levels 0 … 1."""
    steps = np.linspace(0, 1, len(_INFERNO) - _SKIPPED)
    return np.stack([np.interp(level, steps, _INFERNO[_SKIPPED:, channel]) for channel in range(3)], axis=-1)
