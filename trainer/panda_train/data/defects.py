"""Defects drawn into pictures of textures, each with the mask of the pixels it changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

_SUPERSAMPLING = 4
_MASK_ALPHA = 0.5  # a pixel belongs to the defect where at least this share of it is covered


class Defect(NamedTuple):
    """A texture with a defect drawn in: image float (H, W) in 0 … 255, mask bool (H, W)."""

    image: np.ndarray
    mask: np.ndarray


def draw_scratch(
    image: np.ndarray,
    foreign: np.ndarray,
    rng: np.random.Generator,
    strength: float = 1.0,
    least_width: float = 0.0,
    shake: float = 1.2,
) -> Defect:
    """One or two thin curves, bright with a dark edge or the reverse, fading towards their ends.

    strength: of the contrast; least_width and shake, the mean departure from a smooth curve: in pixels.
    """
    size = image.shape[0]
    sign = rng.choice([-1.0, 1.0])
    result, mask = image.copy(), np.zeros(image.shape, dtype=bool)
    for _ in range(rng.integers(1, 3)):
        width = max(rng.uniform(0.012, 0.022) * size, least_width)
        curve = bezier(size, rng, shake)
        groove = stroke(image.shape, curve, width)
        edge = stroke(image.shape, curve + width * 0.8, width * 0.7)
        depth = rng.uniform(45, 80) * strength
        result += sign * depth * groove - sign * 0.5 * depth * edge * (1 - groove)
        changed = np.maximum(groove, edge) >= _MASK_ALPHA
        mask |= ndimage.binary_closing(changed, iterations=2)  # no gap between the groove and its edge
    return Defect(result, mask)


def draw_stain(image: np.ndarray, foreign: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> Defect:
    """A dried liquid: the texture shows through, darker (by `strength`), and darkest along the rim."""
    alpha = blob(image.shape, rng.uniform(0.12, 0.22), rng)
    inside = ndimage.gaussian_filter(alpha, 1.2)
    rim = np.clip(inside - ndimage.gaussian_filter(inside, 4.0), 0, None) * 2
    darkening = rng.uniform(0.26, 0.38) * strength
    return Defect(image * (1 - darkening * inside - 0.25 * rim * inside), alpha >= _MASK_ALPHA)


def draw_hole(image: np.ndarray, foreign: np.ndarray, rng: np.random.Generator) -> Defect:
    """A small pit: dark, its far wall catching light, with a thin bright lip on one side."""
    alpha = ndimage.gaussian_filter(blob(image.shape, rng.uniform(0.045, 0.085), rng), 0.7)
    down = rng.uniform(0, 2 * np.pi)
    slope = ndimage.sobel(ndimage.gaussian_filter(alpha, 2.0), 0) * np.sin(down)
    slope += ndimage.sobel(ndimage.gaussian_filter(alpha, 2.0), 1) * np.cos(down)
    depth = np.minimum(ndimage.distance_transform_edt(alpha >= _MASK_ALPHA) / 4, 1.0)
    floor = 55 - 35 * depth + 10 * rng.normal(size=image.shape)
    lit = image + 25 * np.clip(slope, 0, None) * (1 - alpha)
    return Defect(lit * (1 - alpha) + floor * alpha, alpha >= _MASK_ALPHA)


def draw_foreign(image: np.ndarray, foreign: np.ndarray, rng: np.random.Generator) -> Defect:
    """A patch of another texture with the brightness of what it covers, so that only the texture tells it."""
    alpha = ndimage.gaussian_filter(blob(image.shape, rng.uniform(0.11, 0.18), rng), 1.0)
    covered = alpha >= _MASK_ALPHA
    patch = foreign - foreign[covered].mean() + image[covered].mean()
    return Defect(image * (1 - alpha) + patch * alpha, covered)


DEFECTS: dict[str, Callable[[np.ndarray, np.ndarray, np.random.Generator], Defect]] = {
    "scratch": draw_scratch,
    "stain": draw_stain,
    "hole": draw_hole,
    "foreign": draw_foreign,
}


def bezier(size: int, rng: np.random.Generator, shake: float) -> np.ndarray:
    """A gently bent, slightly shaking line across part of the image: float64 (60, 2) of x, y in pixels."""
    angle, length = rng.uniform(0, np.pi), rng.uniform(0.4, 0.75) * size
    middle = rng.uniform(0.38, 0.62, 2) * size
    along = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    bend = np.array([-along[1], along[0]]) * rng.uniform(-0.4, 0.4)
    t = np.linspace(0, 1, 60)[:, None]
    line = (1 - t) ** 2 * (middle - along) + 2 * t * (1 - t) * (middle + bend) + t**2 * (middle + along)
    shaking: np.ndarray = ndimage.gaussian_filter1d(rng.normal(0, shake, line.shape), 2, axis=0)
    return np.asarray(line + shaking)


def stroke(shape: tuple[int, ...], points: np.ndarray, width: float) -> np.ndarray:
    """Coverage 0 … 1, float64 (H, W), of a polyline whose width tapers to its ends."""
    canvas = Image.new("L", (shape[1] * _SUPERSAMPLING, shape[0] * _SUPERSAMPLING))
    draw = ImageDraw.Draw(canvas)
    for i, (x, y) in enumerate(points * _SUPERSAMPLING):
        radius = width * _SUPERSAMPLING / 2 * (0.4 + 0.6 * np.sin(np.pi * (i + 0.5) / len(points)))
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=255)
        if i:
            previous = points[i - 1] * _SUPERSAMPLING
            draw.line([*previous, x, y], fill=255, width=max(1, round(2 * radius)))
    return _covered(canvas, shape)


def blob(shape: tuple[int, ...], radius: float, rng: np.random.Generator) -> np.ndarray:
    """Coverage 0 … 1, float64 (H, W), of an irregular round shape; radius as a share of the image's side."""
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    reach = np.ones_like(angles)
    for waves in range(2, 7):
        reach += rng.normal(0, 0.22 / waves) * np.cos(waves * angles + rng.uniform(0, 2 * np.pi))
    stretch = rng.uniform(0.75, 1.0, 2)
    centre = rng.uniform(radius + 0.05, 0.95 - radius, 2)
    outline = centre + radius * np.stack([np.cos(angles), np.sin(angles)], 1) * stretch * reach[:, None]
    canvas = Image.new("L", (shape[1] * _SUPERSAMPLING, shape[0] * _SUPERSAMPLING))
    ImageDraw.Draw(canvas).polygon([tuple(point) for point in outline * canvas.size], fill=255)
    return _covered(canvas, shape)


def _covered(canvas: Image.Image, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(canvas.resize((shape[1], shape[0]), Image.Resampling.BOX), dtype=np.float64) / 255
