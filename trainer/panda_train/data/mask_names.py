"""Which mask belongs to which image, by their names: never by upper or lower case."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

_WORD = r"(?:masks?|gt|labels?|seg|segmentation|ground[ _-]?truth)"
_AFTER_STEM = re.compile(rf"(.+?)[ _.-]+{_WORD}[ _.-]?\d*", re.IGNORECASE)
_ALONE = re.compile(_WORD, re.IGNORECASE)

TRUTH_FOLDERS = ("ground_truth", "groundtruth", "ground-truth", "ground truth", "gt", "masks", "mask")


def named_stem(stem: str) -> str | None:
    """The image's stem where a file's stem says that it is its mask, such as `a` of `a_mask`, `a-GT`, `a_label2`."""
    found = _AFTER_STEM.fullmatch(stem)
    return None if found is None else found[1]


def is_mask_word(stem: str) -> bool:
    """Whether a whole stem says `mask`, as where each image has a folder of its own."""
    return _ALONE.fullmatch(stem) is not None


class MaskFolder:
    """The masks below one folder, found by the path that an image has below its own.

    `a_mask.png` (and the other words of `named_stem`), `a.png`, or all files of a folder `a/`; where that finds
    nothing, the same in the folder itself, if only one image has this name.
    """

    def __init__(self, root: Path, paths: Iterable[Path], named: Mapping[Path, str] | None = None) -> None:
        """root: what the paths lie below. named: masks whose image's name is known, whatever theirs is."""
        self._by_word: dict[str, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        self._by_folder: dict[str, list[Path]] = defaultdict(list)
        self.paths = list(paths)
        self.unused = dict.fromkeys(self.paths)
        for path in self.paths:
            if named and path in named:
                self._by_stem[_key(Path(named[path]))].append(path)
                continue
            below = path.relative_to(root)
            self._by_stem[_key(below)].append(path)
            self._by_folder[_key(below.parent, whole=True)].append(path)
            if (stem := named_stem(below.stem)) is not None:
                self._by_word[_key(below.with_name(stem), whole=True)].append(path)

    def of(self, image: Path, alone: bool) -> tuple[Path, ...]:
        """The masks of an image, by its path below its data set's `test`. alone: no other image has its name."""
        key = _key(image)
        found = self._by_word.get(key) or self._by_stem.get(key) or self._by_folder.get(key, [])
        if not found and alone:
            key = _key(Path(image.name))
            found = self._by_word.get(key) or self._by_stem.get(key, [])
        for path in found:
            self.unused.pop(path, None)
        return tuple(found)


def masks_beside(paths: Iterable[Path]) -> dict[Path, Path]:
    """Of images and masks in the same folders, each mask by its name with the image that it is of."""
    images: dict[tuple[Path, str], Path] = {}
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in paths:
        images.setdefault((path.parent, path.stem.casefold()), path)
        folders[path.parent].append(path)
    found = {}
    for folder, files in folders.items():
        for path in files:
            stem = named_stem(path.stem)
            image = None if stem is None else images.get((folder, stem.casefold()))
            if image is None and len(files) == 2 and is_mask_word(path.stem):
                image = files[1 - files.index(path)]
            if image is not None:
                found[path] = image
    return found


def _key(path: Path, whole: bool = False) -> str:
    """whole: the name has no suffix to be left out."""
    return (path if whole else path.with_suffix("")).as_posix().casefold()
