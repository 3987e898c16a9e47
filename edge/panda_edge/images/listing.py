"""The one listing of pictures in a folder and below it, for all commands; what it passed over is said."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from panda_edge.errors import PandaError, install
from panda_edge.images.formats import HEIF_SUFFIXES, is_image_name
from panda_edge.printable import printable

RESULTS_MARKER = ".panda-results"
"""A folder that holds a file of this name holds our own results: no listing of a folder above it looks into it."""

_NAMED = 3  # names that a line gives of what cannot be read
_PART = re.compile(r"(.+)_(overlay|heatmap)\.png")  # what `segment` and `watch --save` leave beside pictures
_BESIDE = {"overlay": ("_heatmap.npy", "_heatmap.png", ".json"), "heatmap": ("_overlay.png",)}


@dataclass
class LeftOut:
    """What a listing passed over. files: all that were seen; others: those that are no pictures, by suffix; hidden:
    pictures whose name begins with a dot; results: folders and pictures of our own; unreadable: path → why."""

    files: int = 0
    others: Counter[str] = field(default_factory=Counter)
    hidden: int = 0
    results: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """What was passed over, a line for each reason; none where nothing was."""
        lines = []
        if self.others:
            counts = ", ".join(f"{suffix or 'no suffix'} {count}" for suffix, count in self.others.most_common())
            hint = f" – {install('heif')}" if self.others.keys() & HEIF_SUFFIXES else ""
            are = "is not a picture" if self.others.total() == 1 else "are not pictures"
            lines.append(f"{self.others.total()} of {self.files} files {are}: {counts}{hint}")
        if self.hidden:
            names = "picture, whose name begins" if self.hidden == 1 else "pictures, whose names begin"
            lines.append(f"passed over: {self.hidden} {names} with a dot")
        if self.results:
            lines.append(f"passed over, as results of panda-edge: {self.results} folder(s) or picture(s)")
        if self.unreadable:
            shown = [printable(f"{path} ({why})") for path, why in list(self.unreadable.items())[:_NAMED]]
            more = len(self.unreadable) - len(shown)
            lines.append(f"passed over, cannot be read: {', '.join(shown)}{f' and {more} more' if more else ''}")
        return lines

    def add(self, other: LeftOut) -> None:
        self.files += other.files
        self.others += other.others
        self.hidden += other.hidden
        self.results += other.results
        self.unreadable |= other.unreadable


@dataclass
class Entries:
    """What one folder holds: names of pictures, paths of folders and of links to folders; all unsorted."""

    pictures: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)


@dataclass(frozen=True)
class Listing:
    """pictures: in natural order."""

    pictures: list[Path]
    left_out: LeftOut


def list_pictures(folder: Path) -> Listing:
    """The pictures of a folder and of those below it. Links are followed, and no folder is looked into twice.

    Hidden files and folders, results of our own and what cannot be read are passed over. Raises PandaError where the
    folder itself cannot be listed.
    """
    found: list[Path] = []
    left_out = LeftOut()
    seen: set[tuple[int, int]] = set()
    folders, links = [str(folder)], list[str]()
    while folders or links:
        # Links last: a picture's name is that in its real folder, wherever that lies.
        current = folders.pop() if folders else links.pop(0)
        try:
            known = identity(current)
            if known in seen:
                continue
            seen.add(known)
            entries = look_into(current, root=current == str(folder))
        except OSError as error:
            if current == str(folder):
                raise PandaError(f"{folder}: cannot be listed ({reason(error)})") from error
            left_out.unreadable[current] = reason(error)
            continue
        found += (Path(current) / name for name in entries.pictures)
        folders += entries.folders
        links = sorted([*links, *entries.links])
        left_out.add(entries.left_out)
    return Listing(sorted(found, key=natural_key), left_out)


def images_below(folder: Path) -> list[Path]:
    """The pictures of `list_pictures`; what was passed over is said on stderr."""
    listing = list_pictures(folder)
    tell(folder, listing.left_out)
    return listing.pictures


def tell(folder: Path | str, left_out: LeftOut) -> None:
    """Lines on stderr of what a listing passed over."""
    for line in left_out.lines():
        print(f"{printable(folder)}: {line}", file=sys.stderr)


def look_into(folder: str, root: bool) -> Entries:
    """What one folder holds. root: it was named by the user, so that a marker in it does not hide it.

    Raises OSError where the folder cannot be listed.
    """
    found, names = Entries(), set[str]()
    left_out = found.left_out
    with os.scandir(folder) as scanned:
        for entry in scanned:
            if entry.name == RESULTS_MARKER and not root:
                return Entries(left_out=LeftOut(results=1))
            names.add(entry.name)
            try:
                _sort(entry, found)
            except OSError as error:  # a link that leads nowhere or in a circle, no rights, a drive that is gone
                left_out.unreadable[entry.path] = reason(error)
    ours = {name for name in found.pictures if _is_ours(name, names)}
    found.pictures = [name for name in found.pictures if name not in ours]
    left_out.results += len(ours)
    return found


def _sort(entry: os.DirEntry[str], found: Entries) -> None:
    left_out, is_link = found.left_out, entry.is_symlink()
    if entry.is_dir():
        if not entry.name.startswith("."):
            (found.links if is_link else found.folders).append(entry.path)
        return
    image = is_image_name(Path(entry.name))
    if entry.name.startswith("."):
        left_out.hidden += image
    elif entry.is_file():
        left_out.files += 1
        if image:
            found.pictures.append(entry.name)
        else:
            left_out.others[os.path.splitext(entry.name)[1].lower()] += 1
    else:
        entry.stat()  # raises what is wrong with a link
        if image:
            left_out.unreadable[entry.path] = "not a file"


def _is_ours(name: str, names: set[str]) -> bool:
    part = _PART.fullmatch(name)
    return part is not None and any(part[1] + ending in names for ending in _BESIDE[part[2]])


def is_result(path: Path) -> bool:
    """Whether a file named by a pattern is a result of ours, by its name or by a folder that it lies in."""
    part = _PART.fullmatch(path.name)
    if part is not None and any(path.with_name(part[1] + ending).exists() for ending in _BESIDE[part[2]]):
        return True
    return any((folder / RESULTS_MARKER).exists() for folder in path.parents)


def identity(folder: str) -> tuple[int, int]:
    """What tells a folder from every other, whatever it is called. Raises OSError."""
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def reason(error: OSError) -> str:
    return error.strerror or str(error)


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sorts img2 before img10, the same on every machine."""
    parts = re.split(r"(\d+)", path.as_posix())
    return [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts]
