"""Reading a data set folder: which images are normal, which are tested, and where their masks are.

Three layouts, told apart by what is there:

- `mvtec`: `train/good`, `test/<kind>` (`good` is normal), `ground_truth/<kind>/<stem>_mask.png` or `<stem>.png`;
- `classes`: `train/<class>` and `test/<class>`, where one class is named as the normal one;
- `flat`: a folder of normal images, with nothing to test.

A mask may also lie beside its image. Two names are taken for a mask, never for a normal image:
`<stem>_mask.<suffix>` beside an image `<stem>.*`, and a black-and-white `<stem>.png` beside a `<stem>.*` of another
suffix.
"""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from panda_edge.errors import DataError, ImageError
from panda_edge.images.formats import IMAGE_SUFFIXES
from panda_edge.images.reading import stored_image

Layout: TypeAlias = Literal["mvtec", "classes", "flat"]

GOOD = "good"  # the folder name of normal images in the MVTec layout

_LAYOUTS = "expected train/good (MVTec), train/<class> with --normal CLASS, or a flat folder of normal images"
_MASK_RULE = (
    "a file is a mask when it is named <image>_mask beside <image>, or is a black-and-white PNG "
    "with the name of an image beside it"
)
_BLACK, _WHITE = 0.1, 0.9  # of the full range: how far recompression moves a mask's two values
_TWO_VALUED_SHARE = 0.95  # of a mask's pixels; the rest is its blurred edge


@dataclass(frozen=True)
class Sample:
    """One test image. kind: its folder's name. mask: the file of its true pixels, None where there is none."""

    path: Path
    kind: str
    anomalous: bool
    mask: Path | None


@dataclass(frozen=True)
class Dataset:
    """The images of a folder: `train` holds normal images only, `test` may be empty."""

    root: Path
    layout: Layout
    train: tuple[Path, ...]
    test: tuple[Sample, ...]


def open_dataset(root: Path, normal: str | None = None) -> Dataset:
    """List the images under `root`, in natural order (`2.png` before `10.png`). No image is decoded.

    normal: the normal class, where `root` holds class folders.
    Raises DataError where the folder has none of the layouts, or no normal images.
    """
    root = Path(root)
    if not root.exists():
        raise DataError(f"{root}: no such folder; {_LAYOUTS}")
    if not root.is_dir():
        raise DataError(f"{root}: is a file, not a folder; {_LAYOUTS}")
    if (root / "train").is_dir():
        if (root / "train" / GOOD).is_dir() and normal in (None, GOOD):
            return _open_mvtec(root)
        return _open_classes(root, normal)
    return _open_flat(root, normal)


def read_mask(path: Path) -> np.ndarray:
    """The true pixels of an image: bool (H, W), True where anomalous.

    Of a file with two values the higher is anomalous, so 0/1 and 0/255 both work; with more values (an edge blurred
    by scaling or recompression) those above half of the format's range are. Raises DataError.
    """
    try:
        image = stored_image(path)
        full = 65535 if image.mode.startswith("I;16") else 255
        indexed = image.mode in ("1", "P")
        values = np.asarray(image if indexed or image.mode.startswith("I") else image.convert("L"))
    except (ImageError, ValueError) as error:  # ValueError: a mode that has no grey
        raise DataError(f"{path}: cannot be read as a mask ({error}); give a black-and-white PNG") from error
    if indexed:
        return values > 0
    levels = np.unique(values)
    if len(levels) == 1:
        return values > 0  # all background, or all of it anomalous
    if len(levels) == 2:
        return np.asarray(values == levels[1])
    mask = values > full / 2
    if not mask.any():
        raise DataError(f"{path}: grey values {levels[0]} to {levels[-1]}; a mask has two values, such as 0 and {full}")
    return mask


def _open_mvtec(root: Path) -> Dataset:
    train, _ = _images_and_masks(root / "train" / GOOD)
    _require_images(train, root / "train" / GOOD)
    samples = _test_samples(root, normal=GOOD)
    return Dataset(root, "mvtec", tuple(train), tuple(samples))


def _open_classes(root: Path, normal: str | None) -> Dataset:
    classes = [folder.name for folder in _folders(root / "train")]
    if not classes:
        raise DataError(f"{root / 'train'}: no folders of images; {_LAYOUTS}")
    names = ", ".join(classes[:12]) + (", …" if len(classes) > 12 else "")
    if normal is None:
        raise DataError(f"{root}: has class folders ({names}); say which is normal with --normal CLASS")
    if normal not in classes:
        raise DataError(f"{root}: got --normal {normal}, which is no folder of train/; expected one of {names}")
    train, _ = _images_and_masks(root / "train" / normal)
    _require_images(train, root / "train" / normal)
    return Dataset(root, "classes", tuple(train), tuple(_test_samples(root, normal)))


def _open_flat(root: Path, normal: str | None) -> Dataset:
    train, _ = _images_and_masks(root)
    if not train:
        raise DataError(f"{root}: no images in it and no train/; {_LAYOUTS}")
    if normal is not None:
        raise DataError(
            f"{root}: got --normal {normal} for a flat folder of images, where all are normal; "
            f"leave --normal out, or give class folders train/<class>"
        )
    return Dataset(root, "flat", tuple(train), ())


def _test_samples(root: Path, normal: str) -> list[Sample]:
    """All images of `test/`, normal ones first, with the mask beside each or under `ground_truth/`."""
    folders = sorted(_folders(root / "test"), key=lambda folder: folder.name != normal)
    samples = []
    for folder in folders:
        images, masks = _images_and_masks(folder)
        anomalous = folder.name != normal
        truths = _by_stem(root / "ground_truth" / folder.name) if anomalous else {}
        for path in images:
            mask = truths.get(f"{path.stem}_mask") or truths.get(path.stem) or masks.get(path.stem)
            samples.append(Sample(path, folder.name, anomalous, mask if anomalous else None))
    return samples


def _require_images(train: list[Path], folder: Path) -> None:
    if not train:
        raise DataError(f"{folder}: no images in it ({', '.join(sorted(IMAGE_SUFFIXES))}); put the normal images there")


def _images_and_masks(folder: Path) -> tuple[list[Path], dict[str, Path]]:
    """The images of a folder, and the masks that lie beside them by the image's stem. Warns where there are masks."""
    files = _image_files(folder)
    stems: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        stems[path.stem].append(path)
    masks: dict[str, Path] = {}
    for path in files:
        named = path.stem.removesuffix("_mask")
        if named != path.stem and named in stems:
            masks[named] = path
        elif path.suffix.lower() == ".png" and len(stems[path.stem]) > 1 and _is_black_and_white(path):
            masks.setdefault(path.stem, path)
    if masks:
        warnings.warn(
            f"{folder}: {len(masks)} of {len(files)} files left out as masks, {next(iter(masks.values())).name} "
            f"for one; {_MASK_RULE}",
            stacklevel=4,
        )
    taken = set(masks.values())
    return [path for path in files if path not in taken], masks


def _is_black_and_white(path: Path) -> bool:
    """Whether a PNG is grey with almost all pixels near black or white. A damaged file is not: reading it will tell."""
    try:
        image = stored_image(path, ("1", "P", "L", "I;16"))
    except ImageError:
        return False
    if image.mode in ("1", "P"):
        return image.mode == "1" or len(np.unique(np.asarray(image))) <= 2
    values = np.asarray(image) / (255 if image.mode == "L" else 65535)
    if len(np.unique(values)) <= 2:
        return True
    return float(np.mean((values <= _BLACK) | (values >= _WHITE))) >= _TWO_VALUED_SHARE


def _by_stem(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in _image_files(folder)} if folder.is_dir() else {}


def _image_files(folder: Path) -> list[Path]:
    try:
        entries = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
        files = [path for path in entries if not path.name.startswith(".") and path.is_file()]
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror or error})") from error
    return sorted(files, key=_natural_key)


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted((p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")), key=_natural_key)


def _natural_key(path: Path) -> tuple[list[tuple[int, int | str]], str]:
    """Numbers inside a name compare as numbers; the name itself breaks ties such as `1` and `01`."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts], path.name
