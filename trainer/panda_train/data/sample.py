"""A small data set with known defects, made from the photographs that scikit-image ships. No network.

Normal images are crops of real textures (brick, grass, gravel), from any place of a photograph, for training as for
tests: two may overlap, as pictures of one product show the same print. So a new normal image is as like the training
images as these are like one another, which a calibrated false-alarm rate takes for granted. Every crop has a light and
noise of its own. Defects are drawn into test crops, each with the mask of the pixels it changed.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from panda_edge.bundle.space import NO_ROOM
from panda_edge.errors import DataError
from panda_train.data import large_sample
from panda_train.data.defects import DEFECTS
from panda_train.data.textures import TEXTURES, crop, light, photograph, save

_OWN = "panda-sample.json"  # marks a folder as made here, and lists what was put into it
_LARGEST_CROP = 192  # pixels a side of photographs of 512: two crops have little in common
_TRAIN_IMAGES, _TEST_IMAGES = 60, 12  # a texture
_TRAIN_IMAGES_IN_ALL = 100  # at least: with 99 the default false-alarm rate of 1 % can be promised
_LEAST = 32  # pixels a side


def make_sample(
    out: Path,
    seed: int = 0,
    texture: str = "all",
    train_images: int | None = None,
    test_images: int | None = None,
    size: int = 160,
) -> Path:
    """Write a data set in MVTec layout to the folder `out`, whole or not at all, and return `out`.

    texture: one of TEXTURES, or `all` of them mixed in one set. train_images: how many a texture; if None 60, or 100 of
    a single one, so that the default false-alarm rate can be promised. test_images: how many a texture, 12 if None, for
    `good` and again for each kind of defect. size: side of the square grey PNGs, in pixels.
    From 1,024 pixels on, pictures are quilted (`large_sample.py`): of grass and gravel, 20 and 4 of both together, with
    defects of 6 to 60 pixels, whose longest sides are listed beside the seed.
    The same arguments give the same files. A folder made by an earlier call is replaced; any other folder with
    something in it is left alone: DataError.
    """
    out = Path(out)
    large = size >= large_sample.LEAST
    textures = _textures(texture, large)
    _check_size(size)
    _check_replaceable(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    facts: dict[str, Any] = {"made_by": "panda-train sample", "seed": seed, "texture": texture, "size": size}
    try:
        building.chmod(0o755)  # mkdtemp's 0700 would follow the folder to its new name
        if large:
            train_images = large_sample.TRAIN_IMAGES if train_images is None else train_images
            test_images = large_sample.TEST_IMAGES if test_images is None else test_images
            facts["longest_sides"] = large_sample.write_large_images(
                building, textures, seed, train_images, test_images, size
            )
        else:
            train_images = (
                max(_TRAIN_IMAGES, -(-_TRAIN_IMAGES_IN_ALL // len(textures))) if train_images is None else train_images
            )
            test_images = _TEST_IMAGES if test_images is None else test_images
            _write_images(building, textures, np.random.default_rng(seed), train_images, test_images, size)
        facts["files"] = sorted(str(path.relative_to(building)) for path in building.rglob("*.png"))
        (building / _OWN).write_text(json.dumps(facts, indent=1) + "\n")
        _put_in_place(building, out)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise DataError(
            f"{out}: cannot be written ({error.strerror or error}); make room or choose another folder"
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return out


def _textures(given: str, large: bool) -> tuple[str, ...]:
    known = large_sample.QUILTED if large else TEXTURES
    if given == "all":
        return known
    if given in known:
        return (given,)
    if given in TEXTURES:
        raise DataError(f"got texture {given!r}, which cannot be quilted; expected one of {', '.join(known)}, all")
    raise DataError(f"got texture {given!r}; expected one of {', '.join(known)}, all")


def _check_size(size: int) -> None:
    if not (_LEAST <= size <= _LARGEST_CROP or large_sample.LEAST <= size <= large_sample.LARGEST):
        raise DataError(
            f"got a sample size of {size} pixels; expected {_LEAST} to {_LARGEST_CROP}, "
            f"or {large_sample.LEAST} to {large_sample.LARGEST}"
        )


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
    photographs = {name: photograph(name) for name in TEXTURES}
    for name in textures:
        whole, others = photographs[name], [photographs[other] for other in TEXTURES if other != name]
        for i in range(train_images):
            save(root / "train" / "good" / f"{name}-{i:03d}.png", light(crop(whole, size, rng), rng))
        for i in range(test_images):
            save(root / "test" / "good" / f"{name}-{i:03d}.png", light(crop(whole, size, rng), rng))
        for kind, draw in DEFECTS.items():
            for i in range(test_images):
                foreign = crop(others[i % len(others)], size, rng)
                image, mask = draw(crop(whole, size, rng), foreign, rng)
                stem = f"{name}-{i:03d}"
                save(root / "test" / kind / f"{stem}.png", light(image, rng))
                save(root / "ground_truth" / kind / f"{stem}_mask.png", mask * 255.0)
