"""A small data set with known defects, made from the photographs that scikit-image ships. No network.

Normal images are crops of real textures (brick, grass, gravel). Training crops come from the left part of each
photograph and test crops from the right part, with no pixel in common. Defects are drawn into test crops, each with
the mask of the pixels it changed.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from panda_edge.errors import DataError

TEXTURES = ("brick", "grass", "gravel")

_OWN = "panda-sample.json"  # marks a folder as made here, and lists what was put into it
_TRAIN_WIDTH = 320  # columns of the 512 that training crops come from; the rest is for tests
_SUPERSAMPLING = 4
_MASK_ALPHA = 0.5  # a pixel belongs to the defect where at least this share of it is covered


class Defect(NamedTuple):
    """A texture with a defect drawn in: image float (H, W) in 0 … 255, mask bool (H, W)."""

    image: np.ndarray
    mask: np.ndarray


def make_sample(
    out: Path,
    seed: int = 0,
    texture: str = "all",
    train_images: int = 60,
    test_images: int = 12,
    size: int = 160,
) -> Path:
    """Write a data set in MVTec layout to the folder `out`, whole or not at all, and return `out`.

    texture: one of TEXTURES, or `all` of them mixed in one set. train_images, test_images: how many a texture, the
    latter for `good` and again for each kind of defect. size: side of the square grey PNGs, in pixels.
    The same arguments give the same files. A folder made by an earlier call is replaced; any other folder with
    something in it is left alone: DataError.
    """
    out = Path(out)
    textures = TEXTURES if texture == "all" else (texture,)
    if not set(textures) <= set(TEXTURES):
        raise DataError(f"got texture {texture!r}; expected one of {', '.join(TEXTURES)}, all")
    if not 32 <= size <= 512 - _TRAIN_WIDTH:
        raise DataError(f"got a sample size of {size} pixels; expected 32 to {512 - _TRAIN_WIDTH}")
    _check_replaceable(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        building.chmod(0o755)  # mkdtemp's 0700 would follow the folder to its new name
        _write_images(building, textures, np.random.default_rng(seed), train_images, test_images, size)
        files = sorted(str(path.relative_to(building)) for path in building.rglob("*.png"))
        facts = {"made_by": "panda-train sample", "seed": seed, "texture": texture, "size": size, "files": files}
        (building / _OWN).write_text(json.dumps(facts, indent=1) + "\n")
        _put_in_place(building, out)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return out


def _check_replaceable(out: Path) -> None:
    if not os.path.lexists(out):
        return
    if not out.is_dir() or out.is_symlink():
        raise DataError(f"{out}: exists and is not a folder; name a new folder")
    there = {str(path.relative_to(out)) for path in out.rglob("*") if not path.is_dir()}
    if not there:
        return
    try:
        own = {*json.loads((out / _OWN).read_text())["files"], _OWN}
    except (OSError, ValueError, KeyError, TypeError):
        own = set()
    if not there <= own:
        foreign = sorted(there - own)[0]
        raise DataError(f"{out}: holds files that are not this command's ({foreign}); name a new or an empty folder")


def _put_in_place(building: Path, out: Path) -> None:
    if not out.exists():
        building.rename(out)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}-old-", dir=out.parent))
    out.rename(old / out.name)
    try:
        building.rename(out)
    except OSError:
        (old / out.name).rename(out)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _write_images(
    root: Path, textures: tuple[str, ...], rng: np.random.Generator, train_images: int, test_images: int, size: int
) -> None:
    photographs = {name: _photograph(name) for name in TEXTURES}
    for name in textures:
        left, right = photographs[name][:, :_TRAIN_WIDTH], photographs[name][:, _TRAIN_WIDTH:]
        others = [photographs[other][:, _TRAIN_WIDTH:] for other in TEXTURES if other != name]
        for i in range(train_images):
            _save(root / "train" / "good" / f"{name}-{i:03d}.png", _light(_crop(left, size, rng), rng))
        for i in range(test_images):
            _save(root / "test" / "good" / f"{name}-{i:03d}.png", _light(_crop(right, size, rng), rng))
        for kind, draw in DEFECTS.items():
            for i in range(test_images):
                foreign = _crop(others[i % len(others)], size, rng)
                image, mask = draw(_crop(right, size, rng), foreign, rng)
                stem = f"{name}-{i:03d}"
                _save(root / "test" / kind / f"{stem}.png", _light(image, rng))
                _save(root / "ground_truth" / kind / f"{stem}_mask.png", mask * 255.0)


def _photograph(name: str) -> np.ndarray:
    """float64 (512, 512), 0 … 255."""
    from skimage import data  # its lazy loader is slow to import; only this command pays

    return np.asarray(getattr(data, name)(), dtype=np.float64)


def _crop(photograph: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    top, left = (int(rng.integers(0, side - size + 1)) for side in photograph.shape)
    crop = photograph[top : top + size, left : left + size]
    return crop[:, ::-1].copy() if rng.random() < 0.5 else crop.copy()


def _light(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The small changes of exposure and sensor noise that any two photographs of one part have."""
    gain, offset = rng.uniform(0.94, 1.06), rng.uniform(-5, 5)
    return image * gain + offset + rng.normal(0, 1.5, image.shape)


def _save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(np.rint(image), 0, 255).astype(np.uint8)).save(path, optimize=True)


def draw_scratch(image: np.ndarray, foreign: np.ndarray, rng: np.random.Generator) -> Defect:
    """One or two thin curves, bright with a dark edge or the reverse, fading towards their ends."""
    size = image.shape[0]
    sign = rng.choice([-1.0, 1.0])
    result, mask = image.copy(), np.zeros(image.shape, dtype=bool)
    for _ in range(rng.integers(1, 3)):
        width = rng.uniform(0.012, 0.022) * size
        curve = _bezier(size, rng)
        groove = _stroke(image.shape, curve, width)
        edge = _stroke(image.shape, curve + width * 0.8, width * 0.7)
        depth = rng.uniform(45, 80)
        result += sign * depth * groove - sign * 0.5 * depth * edge * (1 - groove)
        changed = np.maximum(groove, edge) >= _MASK_ALPHA
        mask |= ndimage.binary_closing(changed, iterations=2)  # no gap between the groove and its edge
    return Defect(result, mask)


def draw_stain(image: np.ndarray, foreign: np.ndarray, rng: np.random.Generator) -> Defect:
    """A dried liquid: the texture shows through, darker, and darkest along the rim."""
    alpha = _blob(image.shape, rng.uniform(0.12, 0.22), rng)
    inside = ndimage.gaussian_filter(alpha, 1.2)
    rim = np.clip(inside - ndimage.gaussian_filter(inside, 4.0), 0, None) * 2
    darkening = rng.uniform(0.26, 0.38)
    return Defect(image * (1 - darkening * inside - 0.25 * rim * inside), alpha >= _MASK_ALPHA)


def draw_hole(image: np.ndarray, foreign: np.ndarray, rng: np.random.Generator) -> Defect:
    """A small pit: dark, its far wall catching light, with a thin bright lip on one side."""
    alpha = ndimage.gaussian_filter(_blob(image.shape, rng.uniform(0.045, 0.085), rng), 0.7)
    down = rng.uniform(0, 2 * np.pi)
    slope = ndimage.sobel(ndimage.gaussian_filter(alpha, 2.0), 0) * np.sin(down)
    slope += ndimage.sobel(ndimage.gaussian_filter(alpha, 2.0), 1) * np.cos(down)
    depth = np.minimum(ndimage.distance_transform_edt(alpha >= _MASK_ALPHA) / 4, 1.0)
    floor = 55 - 35 * depth + 10 * rng.normal(size=image.shape)
    lit = image + 25 * np.clip(slope, 0, None) * (1 - alpha)
    return Defect(lit * (1 - alpha) + floor * alpha, alpha >= _MASK_ALPHA)


def draw_foreign(image: np.ndarray, foreign: np.ndarray, rng: np.random.Generator) -> Defect:
    """A patch of another texture with the brightness of what it covers, so that only the texture tells it."""
    alpha = ndimage.gaussian_filter(_blob(image.shape, rng.uniform(0.11, 0.18), rng), 1.0)
    covered = alpha >= _MASK_ALPHA
    patch = foreign - foreign[covered].mean() + image[covered].mean()
    return Defect(image * (1 - alpha) + patch * alpha, covered)


DEFECTS: dict[str, Callable[[np.ndarray, np.ndarray, np.random.Generator], Defect]] = {
    "scratch": draw_scratch,
    "stain": draw_stain,
    "hole": draw_hole,
    "foreign": draw_foreign,
}


def _bezier(size: int, rng: np.random.Generator) -> np.ndarray:
    """A gently bent, slightly shaking line across part of the image: float64 (60, 2) of x, y in pixels."""
    angle, length = rng.uniform(0, np.pi), rng.uniform(0.4, 0.75) * size
    middle = rng.uniform(0.38, 0.62, 2) * size
    along = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    bend = np.array([-along[1], along[0]]) * rng.uniform(-0.4, 0.4)
    t = np.linspace(0, 1, 60)[:, None]
    line = (1 - t) ** 2 * (middle - along) + 2 * t * (1 - t) * (middle + bend) + t**2 * (middle + along)
    shake: np.ndarray = ndimage.gaussian_filter1d(rng.normal(0, 1.2, line.shape), 2, axis=0)
    return np.asarray(line + shake)


def _stroke(shape: tuple[int, ...], points: np.ndarray, width: float) -> np.ndarray:
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


def _blob(shape: tuple[int, ...], radius: float, rng: np.random.Generator) -> np.ndarray:
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
