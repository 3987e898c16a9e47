"""Defects of several families, painted into normal pictures of any kind, each with the mask of the pixels it changed.

After "CutPaste" (Li et al., CVPR 2021) and the defects of `panda-train sample`: nothing here knows what real defects of
the product look like, so families differ in what they change: structure, sharpness, brightness, grain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from panda_train.data.defects import bezier, blob, stroke

_ROOM = 1.25  # side of the window that is painted in, over the defect's longest side
_FAINTEST = 0.25  # of a full defect, that is laid over the picture
_LEAST_CHANGE = 2.0  # grey levels, mean over the mask: below it a paste has met its like
_TRIES = 20


@dataclass(frozen=True)
class Painted:
    """image: uint8 (H, W, 3). mask: bool (H, W), True on the defect. family: a key of FAMILIES."""

    image: np.ndarray
    mask: np.ndarray
    family: str


Window = np.ndarray
"""Float64 (s, s, 3), 0 … 255."""


def _patch(window: Window, foreign: Window, alpha: np.ndarray, rng: np.random.Generator) -> Window:
    """A piece of another normal picture, from anywhere in it: cut and paste."""
    return foreign


def _smear(window: Window, foreign: Window, alpha: np.ndarray, rng: np.random.Generator) -> Window:
    """Wiped in one direction."""
    angle, length = rng.uniform(0, np.pi), rng.uniform(0.15, 0.4) * len(window)
    shifts = np.linspace(-length / 2, length / 2, max(3, min(15, round(length))))
    moved = [
        ndimage.shift(window, (shift * np.sin(angle), shift * np.cos(angle), 0), order=1, mode="nearest")
        for shift in shifts
    ]
    return np.asarray(np.mean(moved, axis=0))


def _scratch(window: Window, foreign: Window, alpha: np.ndarray, rng: np.random.Generator) -> Window:
    """A bright or dark line."""
    return np.asarray(window + rng.choice([-1.0, 1.0]) * rng.uniform(60, 120))


def _hole(window: Window, foreign: Window, alpha: np.ndarray, rng: np.random.Generator) -> Window:
    """Dark, darkest in the middle."""
    depth = ndimage.gaussian_filter(alpha, 0.1 * len(window))[..., None]
    return np.asarray(rng.uniform(20, 60) * (1.3 - depth) + rng.normal(0, 6, (*window.shape[:2], 1)) + np.zeros(3))


def _stain(window: Window, foreign: Window, alpha: np.ndarray, rng: np.random.Generator) -> Window:
    """Faint: the surface shows through, somewhat darker or lighter, with a tint where the picture has colour."""
    change = rng.choice([-1.0, 1.0]) * rng.uniform(0.12, 0.35)
    tint = rng.uniform(0.6, 1.0, 3) if _has_colour(window) else np.ones(3)
    rim = np.clip(alpha - ndimage.gaussian_filter(alpha, 0.06 * len(window)), 0, None)[..., None]
    return np.asarray(window * (1 + change * tint * (1 + rim)))


def _noise(window: Window, foreign: Window, alpha: np.ndarray, rng: np.random.Generator) -> Window:
    """Rough: grain of one to three pixels."""
    shape = window.shape if _has_colour(window) else (*window.shape[:2], 1)
    grain = ndimage.gaussian_filter(rng.normal(size=shape), (rng.uniform(0, 1.2),) * 2 + (0,))
    return np.asarray(window + grain / max(float(grain.std()), 1e-6) * rng.uniform(20, 50))


def _missing(window: Window, foreign: Window, alpha: np.ndarray, rng: np.random.Generator) -> Window:
    """What was there is gone: the colour of what lies around, without structure."""
    around = np.median(window[alpha < 0.05].reshape(-1, 3), axis=0) if (alpha < 0.05).any() else window.mean((0, 1))
    own = window[alpha > 0.5].reshape(-1, 3)
    grain = min(float(own.std()), 4.0) if len(own) else 0.0
    return np.asarray(around + rng.normal(0, grain, (*window.shape[:2], 1)))


_Family = Callable[[Window, Window, np.ndarray, np.random.Generator], Window]
FAMILIES: dict[str, _Family] = {
    "patch": _patch,
    "smear": _smear,
    "scratch": _scratch,
    "hole": _hole,
    "stain": _stain,
    "noise": _noise,
    "missing": _missing,
}
_FULL = ("stain",)  # faint by itself


def paint(
    family: str, image: np.ndarray, other: np.ndarray, spans: tuple[float, float], rng: np.random.Generator
) -> Painted:
    """A copy of a picture, uint8 (H, W, 3), with one defect of a family, somewhere.

    other: another normal picture, uint8 (h, w, 3), that `patch` cuts from. spans: least and largest longest side of the
    defect in pixels; its logarithm and its strength, from faint to full, are drawn evenly.
    """
    pixels = image.astype(np.float64)
    short = min(*image.shape[:2], *other.shape[:2])
    best: tuple[float, Painted] | None = None
    for _ in range(_TRIES):
        span = np.exp(rng.uniform(*np.log(spans)))
        side = int(np.clip(round(span * _ROOM), 6, short))
        window, (top, left) = _window(pixels, side, rng)
        foreign, _ = _window(other, side, rng)
        alpha = _shape(family, side, span, rng)
        strength = 1.0 if family in _FULL else np.exp(rng.uniform(np.log(_FAINTEST), 0))
        drawn = FAMILIES[family](window, foreign.astype(np.float64), alpha, rng)
        laid = window + strength * alpha[..., None] * (np.clip(drawn, 0, 255) - window)
        result, mask = image.copy(), np.zeros(image.shape[:2], dtype=bool)
        result[top : top + side, left : left + side] = np.rint(laid).astype(np.uint8)
        mask[top : top + side, left : left + side] = alpha >= 0.5
        if not mask.any():
            continue
        change = float(np.abs(laid - window).mean(axis=2)[alpha >= 0.5].mean())
        if best is None or change > best[0]:
            best = change, Painted(result, mask, family)
        if change >= _LEAST_CHANGE:
            break
    if best is None:
        raise RuntimeError(f"no {family} of {spans[0]:.0f} to {spans[1]:.0f} pixels in {_TRIES} tries")
    return best[1]


def spans_of(
    size: tuple[int, int], smallest_defect: float | None = None, largest_defect: float | None = None
) -> tuple[float, float]:
    """Least and largest longest side of painted defects for pictures of (width, height), in their own pixels.

    Where nothing is said of the smallest, from a 32nd of the picture's shorter side; of the largest, to four times the
    smallest, or to a quarter of that side. No larger than fits into the picture.
    """
    short = float(min(size))
    least = max(4.0, short / 32) if smallest_defect is None else min(max(3.0, smallest_defect), short / 2)
    usual = max(5.0, short / 4) if smallest_defect is None else min(4 * least, short / 1.5)
    return least, usual if largest_defect is None else max(1.25 * least, min(largest_defect, 0.9 * short))


def _shape(family: str, side: int, span: float, rng: np.random.Generator) -> np.ndarray:
    """Coverage 0 … 1, float64 (side, side)."""
    if family == "scratch":
        width = max(1.0, rng.uniform(0.02, 0.06) * span)
        return stroke((side, side), bezier(side, rng, 0.01 * side), width)
    return np.asarray(ndimage.gaussian_filter(blob((side, side), 0.5 / _ROOM * 0.9, rng), 0.7))


def _window(image: np.ndarray, side: int, rng: np.random.Generator) -> tuple[np.ndarray, tuple[int, int]]:
    top, left = (int(rng.integers(0, length - side + 1)) for length in image.shape[:2])
    return image[top : top + side, left : left + side], (top, left)


def _has_colour(window: Window) -> bool:
    return bool(np.ptp(window, axis=2).max() > 0)


def families(names: Sequence[str], count: int) -> list[str]:
    """`count` families, each in turn."""
    return [names[i % len(names)] for i in range(count)]
