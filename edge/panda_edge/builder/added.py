"""The list of the pictures that `extend` added to a bundle, kept in it so that one can be taken out again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from panda_edge.bundle.fields import choice, optional, rows, table, text, whole
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import read_quality
from panda_edge.bundle.sealed_json import parsed, read_text
from panda_edge.images.quality import QualityRange

ADDED_FILE = "extend/added.json"


@dataclass(frozen=True)
class AddedPicture:
    """A picture that `extend` added.

    Attributes:
        name: Its file's name; of a second one of that name, with `~2` behind it.
        extension: Which `extend` of this bundle added it, from 1.
        kind: `bank`, or `held-out` where it only calibrates.
        quality: How bright and sharp it is.
    """

    name: str
    extension: int
    kind: str
    quality: QualityRange | None = None


@dataclass(frozen=True)
class Added:
    """pictures: in the order in which they were added, and in which a bank holds its own, behind those of `fit`. looks:
    how many there were before the first. fitted: what the pictures of `fit` showed."""

    pictures: tuple[AddedPicture, ...] = ()
    looks: int = 0
    fitted: QualityRange | None = None

    @property
    def extensions(self) -> int:
        """How often pictures were added."""
        return max((picture.extension for picture in self.pictures), default=0)

    @property
    def quality(self) -> QualityRange | None:
        """What all pictures showed, those of `fit` and the added ones."""
        known = [self.fitted, *(picture.quality for picture in self.pictures)]
        found = [quality for quality in known if quality is not None]
        return reduce(QualityRange.joined, found) if self.fitted is not None else None

    def numbers(self, kind: str, before: int) -> dict[str, int]:
        """Of each picture of a kind its number in the bank, or among those held out. before: how many came first."""
        names = [picture.name for picture in self.pictures if picture.kind == kind]
        return {name: before + number for number, name in enumerate(names)}

    def with_more(self, new: Sequence[tuple[str, str, QualityRange | None]]) -> Added:
        """new: name, kind and quality of each."""
        taken = {picture.name for picture in self.pictures}
        pictures, extension = list(self.pictures), self.extensions + 1
        for name, kind, quality in new:
            name = name.encode(errors="backslashreplace").decode()  # a file's name need not be text
            free, again = name, 1
            while free in taken:
                again += 1
                free = f"{name}~{again}"
            taken.add(free)
            pictures.append(AddedPicture(free, extension, kind, quality))
        return dataclasses.replace(self, pictures=tuple(pictures))

    def without(self, names: set[str]) -> Added:
        left = tuple(picture for picture in self.pictures if picture.name not in names)
        return dataclasses.replace(self, pictures=left)


_read = table(
    Added,
    pictures=rows(
        table(
            AddedPicture,
            name=text(),
            extension=whole(),
            kind=choice("bank", "held-out"),
            quality=optional(read_quality),
        )
    ),
    looks=whole(0),
    fitted=optional(read_quality),
)


def read_added(bundle: Bundle) -> Added:
    """Raises BundleError."""
    if ADDED_FILE not in bundle.manifest.files:
        return Added()
    path = bundle.checked_file(ADDED_FILE)
    where = bundle.path / ADDED_FILE
    return _read(parsed(read_text(path), where), str(where))


def write_added(staging: Path, added: Added) -> None:
    """Nothing where no picture was added."""
    if not added.pictures:
        return
    file = staging / ADDED_FILE
    file.parent.mkdir(exist_ok=True)
    plain = dataclasses.asdict(added)
    file.write_text(json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
