"""What INPUT... on a command line stands for: files, folders, globs, or - for a list on stdin."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from panda_edge.errors import PandaError
from panda_edge.images.reading import IMAGE_SUFFIXES

_STDIN = "-"


@dataclass(frozen=True)
class Input:
    """An image to score. name: what its results are called, without suffix; a folder's subfolders are kept."""

    path: Path
    name: Path
    error: PandaError | None = None
    """Why there is no image to score: an empty folder, a glob that matches nothing."""


def expand_inputs(inputs: Iterable[str]) -> Iterator[Input]:
    """Every image that INPUT... means, in order; lines of stdin as they come.

    A folder gives the image files below it, sorted; a glob what matches (** crosses folders), folders included. A file
    that is named plainly is given as it is, so that a wrong one is reported. What has no images is an Input with an
    error, so that the others go on.
    """
    for given in inputs:
        if given == _STDIN:
            yield from _listed_on_stdin()
        elif os.path.isdir(given):
            found = [Input(path, path.relative_to(given).with_suffix("")) for path in images_below(Path(given))]
            yield from found or [_nothing(given, "no images in this folder or below")]
        elif not os.path.exists(given) and glob.has_magic(given):
            yield from list(_matches(given)) or [_nothing(given, "no image matches")]
        elif not given:
            yield _nothing("''", "an empty name")
        else:
            yield _plain(Path(given))


def _listed_on_stdin() -> Iterator[Input]:
    if sys.stdin is None or sys.stdin.closed:
        raise PandaError("-: stdin is closed; pipe a list of images into it")
    # Bytes, because a file's name need not be text.
    for line in sys.stdin.buffer:
        name = line.rstrip(b"\r\n")
        if name.strip():
            yield _plain(Path(os.fsdecode(name)))


def _matches(pattern: str) -> Iterator[Input]:
    for match in sorted((Path(m) for m in glob.glob(pattern, recursive=True)), key=natural_key):
        if match.is_dir() and "**" not in pattern:
            yield from (Input(p, match.name / p.relative_to(match).with_suffix("")) for p in images_below(match))
        elif is_image_name(match):
            yield _plain(match)


def _plain(path: Path) -> Input:
    # A name such as `..png` leaves a stem that means a folder.
    return Input(path, Path("image" if path.stem in ("", ".", "..") else path.stem))


def _nothing(given: str, problem: str) -> Input:
    advice = "give image files, a folder of them, a glob, or - for a list on stdin"
    return Input(Path(given), Path("none"), PandaError(f"{given}: {problem}; {advice}"))


def images_below(folder: Path) -> list[Path]:
    """Image files of a folder and its subfolders, in natural order; hidden ones are left out."""
    found = [
        path
        for path in folder.rglob("*")
        if is_image_name(path) and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    return sorted((path for path in found if path.is_file()), key=natural_key)


def is_image_name(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sorts img2 before img10, the same on every machine."""
    parts = re.split(r"(\d+)", path.as_posix())
    return [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts]
