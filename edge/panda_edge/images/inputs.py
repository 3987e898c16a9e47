"""What INPUT... on a command line stands for: files, folders, globs, or - for a list on stdin."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from panda_edge.errors import PandaError
from panda_edge.images.formats import is_image_name
from panda_edge.images.listing import LeftOut, images_below, is_result, natural_key, tell

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

    A folder gives the image files below it, sorted; a glob what matches (** crosses folders), folders included. What is
    passed over there is said on stderr. A file that is named plainly is given as it is, so that a wrong one is
    reported. What has no images is an Input with an error, so that the others go on.
    """
    for given in inputs:
        if given == _STDIN:
            yield from _listed_on_stdin()
        elif os.path.isdir(given):
            yield from _below(given)
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


def _below(folder: str) -> list[Input]:
    try:
        found = [Input(path, path.relative_to(folder).with_suffix("")) for path in images_below(Path(folder))]
    except PandaError as error:
        return [Input(Path(folder), Path("none"), error)]
    return found or [_nothing(folder, "no images in this folder or below")]


def _matches(pattern: str) -> Iterator[Input]:
    left_out = LeftOut()
    real: set[str] = set()  # ** goes in a circle where links do
    for match in sorted((Path(m) for m in glob.glob(pattern, recursive=True)), key=natural_key):
        if os.path.isdir(match):
            if "**" not in pattern:
                yield from (Input(p, match.name / p.relative_to(match).with_suffix("")) for p in images_below(match))
            continue
        left_out.files += 1
        if (known := os.path.realpath(match)) in real:
            continue
        real.add(known)
        if is_result(match):
            left_out.results += 1
        elif is_image_name(match):
            yield _plain(match)
        else:
            left_out.others[match.suffix.lower()] += 1
    tell(pattern, left_out)


def _plain(path: Path) -> Input:
    # A name such as `..png` leaves a stem that means a folder.
    return Input(path, Path("image" if path.stem in ("", ".", "..") else path.stem))


def _nothing(given: str, problem: str) -> Input:
    advice = "give image files, a folder of them, a glob, or - for a list on stdin"
    return Input(Path(given), Path("none"), PandaError(f"{given}: {problem}; {advice}"))
