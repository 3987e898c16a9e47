"""A folder that somebody changes while it is listed and watched; the input says how, and when.

Each byte is a step: what is done to which of a few names. Steps are taken between the calls by which the listing looks
at the file system, so that anything may have become another thing since the look before.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fuzz.targets import Find, folder
from panda_edge.errors import PandaError
from panda_edge.images import listing
from panda_edge.images.reading import open_image_bytes
from panda_edge.stream.frame import SourceLost
from panda_edge.stream.sources import folder as watched
from panda_edge.stream.sources.folder import FolderSource

_NAMES = ("a.bmp", "b.bmp", "d", "d/c.bmp", "d/e", "d/e/f.bmp", "link", "link.bmp", "g.txt", ".h.bmp", "a_overlay.png",
          "d/.panda-results", "i.bmp", "x\udcff.bmp", "j", "j/k.bmp")  # fmt: skip
_TARGETS = ("d", "a.bmp", ".", "link", "nothing", "d/e")
_MOST_STEPS = 200
_MOST_PASSES = 50  # over the folder while steps are left
# A picture of 8 × 8 grey pixels.
_BMP = b"BM" + (1142).to_bytes(4, "little") + bytes(4) + (1078).to_bytes(4, "little") + (40).to_bytes(4, "little") + \
    (8).to_bytes(4, "little") * 2 + b"\1\0\x08\0" + bytes(24) + bytes(1024) + bytes(range(64))  # fmt: skip


def changing(data: bytes) -> None:
    """What is left in the end has been given, in its last state, and nothing but a PandaError was raised on the way."""
    root = folder() / "changing"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    steps = _Steps(root, data[:_MOST_STEPS])
    for _ in range(len(data) % 8):  # what is there at first
        steps.take()
    source = FolderSource(root, True, open_image_bytes)
    with _in_between(steps):
        for _ in range(_MOST_PASSES):
            with suppress(PandaError):
                listing.list_pictures(root)
            _given(source)
            if steps.done:
                break
        while not steps.done:
            steps.take()
        _given(source)
    with suppress(PandaError):
        for path in listing.list_pictures(root).pictures:
            _check_known(source, path)


def _given(source: FolderSource) -> None:
    with suppress(SourceLost):
        for number, _ in enumerate(source.pictures(threading.Event())):
            if number > _MOST_STEPS * 10:
                raise Find("pictures without end")


def _check_known(source: FolderSource, path: Path) -> None:
    """The very state of a file that is left was given, by whichever path leads to its folder."""
    signature = watched._signature(str(path))
    known = [done.get(path.name) for done in source._done.values()]
    if signature not in known:
        raise Find(f"{path} was passed over in silence")


class _Steps:
    """Changes, one a byte."""

    def __init__(self, root: Path, data: bytes) -> None:
        self._root, self._data, self._at = root, data, 0

    @property
    def done(self) -> bool:
        return self._at >= len(self._data)

    def take(self) -> None:
        if self.done:
            return
        number, self._at = self._data[self._at], self._at + 1
        path = self._root / _NAMES[number % len(_NAMES)]
        with suppress(OSError):  # a step that cannot be taken is none
            _do(number // len(_NAMES), path, self._root)


def _do(what: int, path: Path, root: Path) -> None:
    if what < 5:
        if path.is_fifo():  # a writer would wait for its reader
            path.unlink()
        path.write_bytes(_BMP if what < 3 else _BMP[:300] if what == 3 else b"")
    elif what < 8:
        path.mkdir()
    elif what == 8:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    elif what < 12:
        path.symlink_to(root / _TARGETS[(what + len(path.name)) % len(_TARGETS)])
    elif what == 12:
        os.mkfifo(path)
    elif what == 13:
        os.replace(path, root / "i.bmp" if path.suffix else root / "j")
    elif what == 14:
        path.symlink_to(path.name)
    else:
        os.replace(root / "a.bmp", path)


class _Watched:
    """The `os` of a module: a step before each call that looks."""

    def __init__(self, steps: _Steps) -> None:
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        if name in ("scandir", "stat"):
            self._steps.take()
        return getattr(os, name)


@contextmanager
def _in_between(steps: _Steps) -> Iterator[None]:
    own = watched._LOOK, watched._PATIENCE, watched._TRIED_EVERY
    watched._LOOK = watched._PATIENCE = watched._TRIED_EVERY = 0.0
    listing.os = watched.os = _Watched(steps)  # type: ignore[assignment]
    try:
        yield
    finally:
        listing.os = watched.os = os
        watched._LOOK, watched._PATIENCE, watched._TRIED_EVERY = own
