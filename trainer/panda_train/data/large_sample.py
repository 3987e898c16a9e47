"""The sample's large pictures: quilted textures, with defects that a picture squashed to the model's input would lose.

Training pictures are quilted from the left half of each photograph, test pictures from the right half.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import numpy as np

from panda_train.data.defects import DEFECTS
from panda_train.data.quilt import quilt
from panda_train.data.small_defects import draw_small, longest_side, sizes_of
from panda_train.data.textures import TEXTURES, light, photograph, save
from panda_train.data.views import Views, views_of
from panda_train.progress import show

QUILTED = ("grass", "gravel")  # a wall's courses would end at every block
LEAST, LARGEST = 1024, 4096  # pixels a side
TRAIN_IMAGES, TEST_IMAGES = 20, 4

_THREADS = 4  # at most: a picture of 4096 × 4096 takes half a gigabyte while it is made
_FAST = 1  # of zlib's levels: the noise of a sensor hardly shrinks


class _Picture(NamedTuple):
    """file: within the data set; defect: kind and longest side in pixels, None for a normal picture."""

    file: Path
    texture: str
    train: bool
    defect: tuple[str, float] | None
    seed: np.random.SeedSequence


def write_large_images(
    root: Path, textures: tuple[str, ...], seed: int, train_images: int, test_images: int, side: int
) -> dict[str, int]:
    """Write square pictures of `side` pixels in MVTec layout, a defect in each that has one, textures in turns.

    train_images, test_images: how many, of all textures together; the latter for `good` and again for each kind.
    Returns the longest side of each test picture's defect in pixels, by file.
    """
    for_pictures, for_sizes, for_views = np.random.SeedSequence(seed).spawn(3)
    pictures = _plan(textures, train_images, test_images, for_pictures, np.random.default_rng(for_sizes))
    parts = [(name, train) for name in textures for train in (True, False)]
    views: dict[tuple[str, bool], Views] = {}
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        made = pool.map(_views, parts, for_views.spawn(len(parts)))
        views.update(zip(parts, show(made, "views", len(parts)), strict=True))
        jobs = [pool.submit(_write, root, picture, views[picture.texture, picture.train], side) for picture in pictures]
        try:
            for job in show(as_completed(jobs), "pictures", len(jobs)):
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return {str(p.file): job.result() for p, job in zip(pictures, jobs, strict=True) if p.defect}


def _plan(
    textures: tuple[str, ...],
    train_images: int,
    test_images: int,
    seed: np.random.SeedSequence,
    rng: np.random.Generator,
) -> list[_Picture]:
    groups: list[tuple[str, int, str | None]] = [("train/good", train_images, None), ("test/good", test_images, None)]
    groups += [(f"test/{kind}", test_images, kind) for kind in DEFECTS]
    pictures = []
    for folder, count, kind in groups:
        sizes = None if kind is None else sizes_of(kind, count, rng)
        for i in range(count):
            texture = textures[i % len(textures)]
            file = Path(folder) / f"{texture}-{i:03d}.png"
            defect = None if kind is None or sizes is None else (kind, float(sizes[i]))
            pictures.append(_Picture(file, texture, folder.startswith("train"), defect, *seed.spawn(1)))
    return pictures


def _half(name: str, train: bool) -> np.ndarray:
    whole = photograph(name)
    middle = whole.shape[1] // 2
    return whole[:, :middle] if train else whole[:, middle:]


def _views(part: tuple[str, bool], seed: np.random.SeedSequence) -> Views:
    return views_of(_half(*part), np.random.default_rng(seed))


def _write(root: Path, picture: _Picture, views: Views, side: int) -> int:
    """Make and save one picture and its mask; the longest side of its defect, 0 without."""
    rng = np.random.default_rng(picture.seed)
    image = quilt(views, side, rng)
    size = 0
    if picture.defect:
        kind, longest = picture.defect
        others = [name for name in TEXTURES if name != picture.texture]
        foreign = _half(others[int(rng.integers(len(others)))], train=False)
        image, mask = draw_small(kind, longest, image, foreign, rng)
        size = longest_side(mask)
        save(root / "ground_truth" / kind / f"{picture.file.stem}_mask.png", mask * np.float32(255))
    save(root / picture.file, light(image, rng), _FAST)
    return size
