"""Reading a data set folder: which images are normal, which are tested, and where their masks are.

Four layouts, told apart by what is there; upper and lower case do not matter:

- `mvtec`: `train/good`, `test/<kind>` (`good` is normal), masks in `ground_truth/<kind>` (see `mask_names`); `ok` and
  `normal` are good, too;
- `classes`: `train/<class>` and `test/<class>`, where one class is named as the normal one;
- `masks`: `train` and `test` hold images with a mask beside each, which is empty where an image is normal;
- `flat`: a folder of normal images, with nothing to test.

Folders of images may hold further folders. A mask may also lie beside its image. Two names are taken for a mask, never
for a normal image: `<stem>_mask.<suffix>` (and the like) beside an image `<stem>.*`, and a black-and-white `<stem>.png`
beside a `<stem>.*` of another suffix.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from panda_edge.errors import DataError, ImageError, PandaError
from panda_edge.images.formats import IMAGE_SUFFIXES, is_image_name
from panda_edge.images.listing import list_pictures, natural_key
from panda_edge.images.reading import stored_image
from panda_edge.printable import printable
from panda_train.data.label_studio import images_of_tasks
from panda_train.data.mask_names import TRUTH_FOLDERS, MaskFolder, masks_beside
from panda_train.data.mask_pixels import read_mask

Layout: TypeAlias = Literal["mvtec", "classes", "masks", "flat"]

GOOD = "good"  # the folder name of normal images in the MVTec layout
_ALSO_GOOD = ("ok", "normal")

_LAYOUTS = "expected train/good (MVTec), train/<class> with --normal CLASS, or a flat folder of normal images"
_MASK_RULE = (
    "a file is a mask when it is named <image>_mask beside <image>, or is a black-and-white PNG "
    "with the name of an image beside it"
)
_NOT_NORMAL = {
    *("test", "validation", "label", "labels", "annotation", "annotations", *TRUTH_FOLDERS),
    *("anomaly", "anomalies", "anomalous", "abnormal", "defect", "defects", "defective", "faulty"),
    *("bad", "ng", "ko", "nok", "reject", "rejects", "scrap"),
}
_LOSSLESS = (".png", ".bmp", ".tif", ".tiff", ".gif")
_BLACK, _WHITE = 0.1, 0.9  # of the full range: how far recompression moves a mask's two values
_TWO_VALUED_SHARE = 0.95  # of a mask's pixels; the rest is its blurred edge
_NAMED = 8  # folders that a line names

_told: set[str] = set()


@dataclass(frozen=True)
class Sample:
    """One test image. kind: its folder's name. masks: the files of its true pixels, which add up; () where none is."""

    path: Path
    kind: str
    anomalous: bool
    masks: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """The images of a folder: `train` holds normal images only, `test` may be empty. stray: masks of no image."""

    root: Path
    layout: Layout
    train: tuple[Path, ...]
    test: tuple[Sample, ...]
    stray: tuple[Path, ...] = ()

    @property
    def without_mask(self) -> tuple[Sample, ...]:
        """The anomalous images of which no mask was found."""
        return tuple(sample for sample in self.test if sample.anomalous and not sample.masks)


def open_dataset(root: Path, normal: str | None = None) -> Dataset:
    """List the images under `root`, in natural order (`2.png` before `10.png`). No image is decoded, but masks are.

    normal: the normal class, where `root` holds class folders. What is passed over is said on stderr, once a process.
    Raises DataError where the folder has none of the layouts, or no normal images.
    """
    root = Path(root)
    if not root.exists():
        raise DataError(f"{root}: no such folder; {_LAYOUTS}")
    if not root.is_dir():
        raise DataError(f"{root}: is a file, not a folder; {_LAYOUTS}")
    train = _child(root, "train")
    if train is None:
        return _open_flat(root, normal)
    classes = _folders(train)
    good = _good_of(classes)
    if good is not None and (normal is None or normal.casefold() == good.name.casefold()):
        _tell_of_others(train, classes, good)
        return _with_test(root, "mvtec", train, good, {GOOD, *_ALSO_GOOD, good.name.casefold()})
    if not classes and normal is None and masks_beside(_pictures(train)):
        return _open_with_masks(root, train)
    return _open_classes(root, train, classes, normal)


def open_test_set(root: Path, normal: str | None = None) -> Dataset:
    """As `open_dataset`, where normal images to fit with may be missing, as in what a device's page keeps: `test/good`
    and `test/<kind>` are enough. Raises DataError."""
    root = Path(root)
    if normal is None and root.is_dir() and _child(root, "test") is not None:
        train = _child(root, "train")
        good = None if train is None else _good_of(_folders(train))
        if train is None or (good is not None and not _images_and_masks(good)[0]):
            samples, stray = _test_samples(root, {GOOD, *_ALSO_GOOD})
            return Dataset(root, "mvtec", (), tuple(samples), tuple(stray))
    return open_dataset(root, normal)


def _good_of(classes: Sequence[Path]) -> Path | None:
    """The folder of normal images among those of `train`; `ok` and the like only where nothing else is there."""
    named = [folder for folder in classes if folder.name.casefold() == GOOD]
    if not named and len(classes) == 1 and classes[0].name.casefold() in _ALSO_GOOD:
        return classes[0]
    return named[0] if named else None


def _open_classes(root: Path, train: Path, classes: Sequence[Path], normal: str | None) -> Dataset:
    if not classes:
        raise DataError(f"{train}: no folders of images; {_LAYOUTS}")
    names = ", ".join(folder.name for folder in classes[:12]) + (", …" if len(classes) > 12 else "")
    if normal is None:
        raise DataError(f"{root}: has class folders ({names}); say which is normal with --normal CLASS")
    wanted = [folder for folder in classes if folder.name == normal]
    wanted = wanted or [folder for folder in classes if folder.name.casefold() == normal.casefold()]
    if not wanted:
        raise DataError(f"{root}: got --normal {normal}, which is no folder of train/; expected one of {names}")
    return _with_test(root, "classes", train, wanted[0], {normal.casefold()})


def _with_test(root: Path, layout: Layout, train: Path, normal: Path, good: set[str]) -> Dataset:
    images, _ = _images_and_masks(normal)
    if not images:
        raise DataError(f"{normal}: no images in it ({', '.join(sorted(IMAGE_SUFFIXES))}); put the normal images there")
    _tell_of_loose(train)
    samples, stray = _test_samples(root, good)
    return Dataset(root, layout, tuple(images), tuple(samples), tuple(stray))


def _open_with_masks(root: Path, train: Path) -> Dataset:
    normal = [image for image, masks in _with_own_masks(train) if not _shows(masks)]
    if not normal:
        raise DataError(f"{train}: no normal images in it: every mask shows something; {_LAYOUTS}")
    test = _child(root, "test")
    samples = []
    for image, masks in _with_own_masks(test) if test else ():
        anomalous = _shows(masks)
        samples.append(Sample(image, "defect" if anomalous else GOOD, anomalous, masks if anomalous else ()))
    samples.sort(key=lambda sample: sample.anomalous)
    return Dataset(root, "masks", tuple(normal), tuple(samples))


def _with_own_masks(folder: Path) -> list[tuple[Path, tuple[Path, ...]]]:
    images, masks = _images_and_masks(folder)
    return [(image, masks.get(image, ())) for image in images]


def _open_flat(root: Path, normal: str | None) -> Dataset:
    named = [folder.name for folder in _folders(root) if folder.name.casefold() in _NOT_NORMAL]
    if named and normal is None:
        raise DataError(
            f"{root}: holds {named[0]}/, whose images are not normal by its name; give the folder of normal images "
            f"alone; {_LAYOUTS}"
        )
    images, masks = _images_and_masks(root)
    if not images:
        raise DataError(f"{root}: no images in it and no train/; {_LAYOUTS}")
    if normal is not None:
        raise DataError(
            f"{root}: got --normal {normal} for a flat folder of images, where all are normal; "
            f"leave --normal out, or give class folders train/<class>"
        )
    shown = {image for image, own in masks.items() if _shows(own)}
    if shown and len(shown) < len(masks):  # a mask each, most of them empty: they mark defects
        _tell(f"{root}: {len(shown)} of {len(images)} images not taken as normal: their masks show something")
        images = [image for image in images if image not in shown]
    _tell_of_folders(root, images)
    return Dataset(root, "flat", tuple(images), ())


def _test_samples(root: Path, good: set[str]) -> tuple[list[Sample], list[Path]]:
    """All images of `test/`, normal ones first, with their masks, beside them or under `ground_truth/`; and the masks
    of no image."""
    test = _child(root, "test")
    if test is None:
        return [], []
    truth = next((there for name in TRUTH_FOLDERS if (there := _child(root, name)) is not None), None)
    masks = _pictures(truth) if truth is not None else []
    truths = MaskFolder(truth or root, masks, images_of_tasks(truth or root, masks))
    folders = sorted(_folders(test), key=lambda folder: folder.name.casefold() not in good)
    found = [(folder, *_images_and_masks(folder)) for folder in folders]
    names = Counter(path.stem.casefold() for folder, images, _ in found if not _is(folder, good) for path in images)
    samples = []
    for folder, images, beside in found:
        anomalous = not _is(folder, good)
        for path in images:
            own: tuple[Path, ...] = ()
            if anomalous:
                own = truths.of(path.relative_to(test), names[path.stem.casefold()] == 1) or beside.get(path, ())
            samples.append(Sample(path, folder.name, anomalous, own))
    _tell_of_loose(test)
    of_good = [path for path in truths.unused if truth and _top(path, truth) in good]  # empty ones, as BTAD's
    return samples, [path for path in truths.unused if path not in of_good]


def _is(folder: Path, names: set[str]) -> bool:
    return folder.name.casefold() in names


def _top(path: Path, root: Path) -> str:
    return path.relative_to(root).parts[0].casefold()


def _images_and_masks(folder: Path) -> tuple[list[Path], dict[Path, tuple[Path, ...]]]:
    """The images of a folder and below, and the masks that lie beside them, by image. Says where there are masks."""
    files = _pictures(folder)
    owner = masks_beside(files)
    stems: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in files:
        stems[path.parent, path.stem.casefold()].append(path)
    for same in stems.values():
        for path in same if len(same) > 1 else ():
            others = [other for other in same if other != path and other not in owner]
            if path.suffix.lower() in _LOSSLESS and others and path not in owner and _is_black_and_white(path):
                owner[path] = others[0]
    masks: dict[Path, tuple[Path, ...]] = {}
    for mask, image in owner.items():
        masks[image] = (*masks.get(image, ()), mask)
    if owner:
        _tell(
            f"{folder}: {len(owner)} of {len(files)} files left out as masks, {next(iter(owner)).name} "
            f"for one; {_MASK_RULE}"
        )
    return [path for path in files if path not in owner], masks


def _shows(masks: Sequence[Path]) -> bool:
    return any(bool(read_mask(mask).any()) for mask in masks)


def _is_black_and_white(path: Path) -> bool:
    """Whether a file is grey, almost all of it near black or white. A damaged one is not: reading it will tell."""
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


def _pictures(folder: Path) -> list[Path]:
    try:
        listing = list_pictures(folder)
    except PandaError as error:
        raise DataError(str(error)) from error
    for line in listing.left_out.lines():
        _tell(f"{folder}: {line}")
    return listing.pictures


def _folders(folder: Path) -> list[Path]:
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith(".") and _is_folder(path)]
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror or error})") from error
    return sorted(found, key=natural_key)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a link in a circle, a drive that is gone: the listing says so
        return False


def _child(root: Path, name: str) -> Path | None:
    """The folder of this name in another, whatever its case."""
    if _is_folder(root / name):
        return root / name
    return next((folder for folder in _folders(root) if folder.name.casefold() == name), None)


def _tell_of_others(train: Path, classes: Iterable[Path], good: Path) -> None:
    others = [folder.name for folder in classes if folder != good]
    if others:
        _tell(f"{train}: only {good.name} is taken as normal, not {', '.join(others[:_NAMED])}")


def _tell_of_loose(folder: Path) -> None:
    """Say that images which lie in no kind's folder are passed over."""
    files = [path for path in folder.iterdir() if is_image_name(path) and not path.name.startswith(".")]
    loose = [path for path in files if not _is_folder(path)]
    if loose:
        _tell(f"{folder}: passed over what lies in no folder of it, images: {len(loose)}, {loose[0].name} for one")


def _tell_of_folders(root: Path, images: Iterable[Path]) -> None:
    """Say which folders below a flat one its images come from."""
    counts = Counter(path.parent.relative_to(root).as_posix() for path in images)
    if len(counts) > 1 or "." not in counts:
        shown = ", ".join(f"{folder} {count}" for folder, count in list(counts.items())[:_NAMED])
        more = f" and {len(counts) - _NAMED} more" if len(counts) > _NAMED else ""
        _tell(f"{root}: images of these folders are taken as normal: {shown}{more}")


def _tell(line: str) -> None:
    """A line on stderr, once a process: a command may list its data set more than once."""
    if line not in _told:
        _told.add(line)
        print(printable(line), file=sys.stderr)
