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
from pathlib import Path

import numpy as np

from panda_edge.errors import DataError
from panda_train.data.defects import DEFECTS
from panda_train.data.textures import TEXTURES, crop, light, photograph, save

_OWN = "panda-sample.json"  # marks a folder as made here, and lists what was put into it
_TRAIN_WIDTH = 320  # columns of the 512 that training crops come from; the rest is for tests


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
    photographs = {name: photograph(name) for name in TEXTURES}
    for name in textures:
        left, right = photographs[name][:, :_TRAIN_WIDTH], photographs[name][:, _TRAIN_WIDTH:]
        others = [photographs[other][:, _TRAIN_WIDTH:] for other in TEXTURES if other != name]
        for i in range(train_images):
            save(root / "train" / "good" / f"{name}-{i:03d}.png", light(crop(left, size, rng), rng))
        for i in range(test_images):
            save(root / "test" / "good" / f"{name}-{i:03d}.png", light(crop(right, size, rng), rng))
        for kind, draw in DEFECTS.items():
            for i in range(test_images):
                foreign = crop(others[i % len(others)], size, rng)
                image, mask = draw(crop(right, size, rng), foreign, rng)
                stem = f"{name}-{i:03d}"
                save(root / "test" / kind / f"{stem}.png", light(image, rng))
                save(root / "ground_truth" / kind / f"{stem}_mask.png", mask * 255.0)
